/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * A weight is the high half of a sum in 1/65536, its residual bits the top of the low half, and below them is
 * a random number, or one half of the last bit. SMMLSR subtracts factor * gradient of it, rounded once, with
 * the minus inside.
 */

/* Low halves of four such sums, weights 0 and 2 in one word, 1 and 3 in the other; `random` is below residual
 * bits. */
static inline void mcg_step_lower(const uint8_t *residual, int32_t bits, uint32_t even, uint32_t odd,
                                  uint32_t low[2])
{
    if (bits == 0) {
        low[0] = even;
        low[1] = odd;
    } else if (bits == 2) {
        const uint32_t four = residual[0];
        low[0] = (four << 14 & 0xc000U) | (four << 26 & 0xc0000000U) | (even >> 2 & 0x3fff3fffU);
        low[1] = (four << 12 & 0xc000U) | (four << 24 & 0xc0000000U) | (odd >> 2 & 0x3fff3fffU);
    } else if (bits == 4) {
        const uint32_t two = (uint32_t)residual[0] | (uint32_t)residual[1] << 16;
        low[0] = (two << 12 & 0xf000f000U) | (even >> 4 & 0x0fff0fffU);
        low[1] = (two << 8 & 0xf000f000U) | (odd >> 4 & 0x0fff0fffU);
    } else {
        const uint32_t word = mcg_load32(residual);
        low[0] = mcg_uxtb16(word) << 8 | 0x00800080U;
        low[1] = (word & 0xff00ff00U) | 0x00800080U;
    }
}

static inline void mcg_step_keep(uint8_t *residual, int32_t bits, uint32_t even, uint32_t odd)
{
    if (bits == 2) {
        residual[0] =
            (uint8_t)((even >> 14 & 3U) | (odd >> 12 & 12U) | (even >> 26 & 48U) | (odd >> 24 & 192U));
    } else if (bits == 4) {
        const uint32_t two = (even >> 12 & 0x000f000fU) | (odd >> 8 & 0x00f000f0U);
        residual[0] = (uint8_t)two;
        residual[1] = (uint8_t)(two >> 16);
    } else if (bits == 8) {
        mcg_store32(residual, (even >> 8 & 0x00ff00ffU) | (odd & 0xff00ff00U));
    }
}

/* Four weights of a row, where no assembler does it; false where one of them leaves its range, or a sum has
 * to be clamped first: nothing is written then. */
static inline bool mcg_step_four(const int32_t *sums, const mcg_panel_row_t *row, uint32_t counter, int8_t *w,
                                 uint8_t *residual, int32_t bits, bool random)
{
    const uint32_t old = mcg_load32(w);
    const uint32_t even = mcg_sxtb16(old);
    const uint32_t odd = mcg_sxtb16_odd(old);
    const int32_t factor = row->factor;
    int32_t s0 = sums[0];
    int32_t s1 = sums[1];
    int32_t s2 = sums[2];
    int32_t s3 = sums[3];
    uint32_t low[2];
    uint32_t hash = 0x80008000U; /* one half of a whole step */
    uint32_t turned = hash;
    uint32_t changed;
    uint32_t v0;
    uint32_t v1;
    uint32_t v2;
    uint32_t v3;
    if (row->scale.pre != 0) {
        const int32_t most = row->most;
        if (most != 0 &&
            (mcg_abs(s0) > most || mcg_abs(s1) > most || mcg_abs(s2) > most || mcg_abs(s3) > most)) {
            return false;
        }
        s0 = (int32_t)((uint32_t)s0 << row->scale.pre);
        s1 = (int32_t)((uint32_t)s1 << row->scale.pre);
        s2 = (int32_t)((uint32_t)s2 << row->scale.pre);
        s3 = (int32_t)((uint32_t)s3 << row->scale.pre);
    }
    if (random) {
        hash = mcg_hash(counter);
        turned = (hash >> 8) | (hash << 24);
    }
    mcg_step_lower(residual, bits, mcg_pkhbt(hash, turned), mcg_pkhtb(hash, turned), low);
    v0 = (uint32_t)mcg_smmlsr(s0, factor, (int32_t)mcg_pkhbt(low[0], even));
    v2 = (uint32_t)mcg_smmlsr(s2, factor, (int32_t)mcg_pkhtb(low[0], even));
    v1 = (uint32_t)mcg_smmlsr(s1, factor, (int32_t)mcg_pkhbt(low[1], odd));
    v3 = (uint32_t)mcg_smmlsr(s3, factor, (int32_t)mcg_pkhtb(low[1], odd));
    changed = mcg_uxtb16(mcg_ssat16(mcg_pkhtb(v0, v2))) | mcg_uxtb16(mcg_ssat16(mcg_pkhtb(v1, v3))) << 8;
    if (mcg_q_is_set() || mcg_has_lowest(changed)) {
        return false;
    }
    mcg_store32(w, changed);
    mcg_step_keep(residual, bits, mcg_pkhbt(v0, v2), mcg_pkhbt(v1, v3));
    return true;
}

/* Four weights of rows from `row` on, up to the first where one of them leaves its range, or a sum has to be
 * clamped before it is shifted: nothing of that one is written. */
static inline mcg_panel_row_t *mcg_step_some(const int32_t *sums, mcg_panel_row_t *row, int8_t *w,
                                             mcg_panel_row_t *end, uint8_t *residual, uint32_t more,
                                             int32_t bits, bool random)
{
    while (row != end && mcg_step_four(sums, row, row->counter + more, w + row->w,
                                       bits == 0 ? NULL : residual + row->residual, bits, random)) {
        sums += 4;
        row++;
    }
    return row;
}

#if MCG_DSP_INSTRUCTIONS
/* The same in assembler: r0 sums; r1 row; r2 weights; the end, residual bits and `more` on the stack. */
/* clang-format off */
/* r4 to r7 sums, r9 counter, r10 factor, r3 shift. */
#define MCG_STEP_BEGIN                                                                  \
    "push {r3-r11, lr}\n\t"                                                             \
    "movw lr, #0x352d\n\t" "movt lr, #0x7feb\n\t"                                      \
    "cmp r1, r3\n\t"                                                                    \
    "beq 4f\n\t"                                                                        \
    "1:\n\t"                                                                            \
    "ldmia r0!, {r4-r7}\n\t"                                                            \
    "ldrb r3, [r1, #19]\n\t"                                                            \
    "ldrd r9, r10, [r1, #8]\n\t"                                                        \
    "cmp r3, #0\n\t"                                                                    \
    "bne 3f\n\t"                                                                        \
    "2:\n\t"
/* r9 a random word. */
#define MCG_STEP_RANDOM                                                                 \
    "ldr r12, [sp, #44]\n\t"                                                            \
    "add r9, r9, r12\n\t"                                                               \
    "eor r9, r9, r9, lsr #16\n\t"                                                       \
    "mul r9, r9, lr\n\t"                                                                \
    "eor r9, r9, r9, lsr #15\n\t"                                                       \
    "mul r9, r9, lr\n\t"                                                                \
    "eor r9, r9, r9, lsr #16\n\t"
/* r9 and r3 the low halves of four sums: 0 and 2, 1 and 3. Weights are taken from -128 on. */
#define MCG_STEP_BOTH                                                                   \
    "ldr r8, [r1]\n\t"                                                                  \
    "ldr r11, [r2, r8]\n\t"                                                             \
    "mov r8, #0x00800080\n\t"                                                           \
    "sxtab16 r12, r8, r11\n\t"                                                          \
    "sxtab16 r11, r8, r11, ror #8\n\t"                                                  \
    "pkhbt r8, r9, r12, lsl #16\n\t" "smmlsr r4, r4, r10, r8\n\t"                      \
    "pkhtb r8, r12, r9, asr #16\n\t" "smmlsr r6, r6, r10, r8\n\t"                      \
    "pkhbt r8, r3, r11, lsl #16\n\t" "smmlsr r5, r5, r10, r8\n\t"                      \
    "pkhtb r8, r11, r3, asr #16\n\t" "smmlsr r7, r7, r10, r8\n\t"                      \
    "ldr r8, [r1]\n\t"
/* Four new weights to r3, and away where one leaves its range, which Q tells of those beyond int8, and a comparison of
 * bytes with 0, by GE, of -128; r8 is where they go. */
#define MCG_STEP_END(keep)                                                              \
    "pkhtb r3, r6, r4, asr #16\n\t" "pkhtb r11, r7, r5, asr #16\n\t"                   \
    "usat16 r3, #8, r3\n\t" "usat16 r11, #8, r11\n\t"                                  \
    "orr r3, r3, r11, lsl #8\n\t"                                                       \
    "mov r9, #0\n\t"                                                                    \
    "usub8 r9, r9, r3\n\t"                                                              \
    "mrs r9, apsr\n\t"                                                                  \
    "lsls r9, r9, #4\n\t"                                                               \
    "bne 4f\n\t"                                                                        \
    "eor r3, r3, #0x80808080\n\t"                                                       \
    "str r3, [r2, r8]\n\t"                                                              \
    keep                                                                                \
    "add r1, r1, #28\n\t"                                                               \
    "ldr r3, [sp]\n\t"                                                                  \
    "cmp r1, r3\n\t"                                                                    \
    "bne 1b\n\t"                                                                        \
    "4:\n\t"                                                                            \
    "mov r0, r1\n\t"                                                                    \
    "pop {r3-r11, pc}\n\t"                                                              \
    "3:\n\t"                                                                            \
    "ldr r12, [r1, #20]\n\t"                                                            \
    "cmp r12, #0\n\t"                                                                     \
    "beq 5f\n\t"                                                                          \
    MCG_STEP_WITHIN("r4") MCG_STEP_WITHIN("r5") MCG_STEP_WITHIN("r6") MCG_STEP_WITHIN("r7") \
    "5:\n\t"                                                                            \
    "lsl r4, r4, r3\n\t" "lsl r5, r5, r3\n\t" "lsl r6, r6, r3\n\t" "lsl r7, r7, r3\n\t" \
    "b 2b\n\t"
#define MCG_STEP_WITHIN(sum)                                                            \
    "add r8, " sum ", r12\n\t"                                                          \
    "cmp r8, r12, lsl #1\n\t"                                                           \
    "bhi 4b\n\t"
#define MCG_STEP_FUNCTION(name)                                                         \
    MCG_NAKED static mcg_panel_row_t *name(                                             \
        MCG_SPARE const int32_t *sums, MCG_SPARE mcg_panel_row_t *row, MCG_SPARE int8_t *w, \
        MCG_SPARE mcg_panel_row_t *end, MCG_SPARE uint8_t *residual, MCG_SPARE uint32_t more)

MCG_STEP_FUNCTION(mcg_step_sr8)
{
    __asm__ volatile(
        MCG_STEP_BEGIN
        MCG_STEP_RANDOM
        "ldr r8, [r1]\n\t"
        "ldr r11, [r2, r8]\n\t"
        "mov r12, #0x00800080\n\t"
        "sxtab16 r3, r12, r11\n\t"
        "sxtab16 r11, r12, r11, ror #24\n\t" /* weights 3 and 1 */
        "pkhbt r12, r9, r3, lsl #16\n\t" "smmlsr r4, r4, r10, r12\n\t"
        "pkhtb r12, r11, r9, asr #16\n\t" "smmlsr r5, r5, r10, r12\n\t"
        "ror r9, r9, #8\n\t"
        "pkhbt r12, r9, r3\n\t" "smmlsr r6, r6, r10, r12\n\t"
        "ror r9, r9, #16\n\t"
        "pkhbt r12, r9, r11, lsl #16\n\t" "smmlsr r7, r7, r10, r12\n\t"
        MCG_STEP_END(""));
}

MCG_STEP_FUNCTION(mcg_step_sr12)
{
    __asm__ volatile(
        MCG_STEP_BEGIN
        MCG_STEP_RANDOM
        "ror r12, r9, #8\n\t"
        "pkhtb r3, r12, r9, asr #16\n\t"
        "pkhbt r9, r9, r12, lsl #16\n\t"
        "ldr r8, [r1, #4]\n\t"
        "ldr r11, [sp, #40]\n\t"
        "ldrh r8, [r11, r8]\n\t"
        "orr r8, r8, r8, lsl #8\n\t"
        "and r8, r8, #0x00ff00ff\n\t"
        "lsl r11, r8, #12\n\t" "and r11, r11, #0xf000f000\n\t"
        "lsr r9, r9, #4\n\t" "bic r9, r9, #0xf000f000\n\t" "orr r9, r9, r11\n\t"
        "lsl r11, r8, #8\n\t" "and r11, r11, #0xf000f000\n\t"
        "lsr r3, r3, #4\n\t" "bic r3, r3, #0xf000f000\n\t" "orr r3, r3, r11\n\t"
        MCG_STEP_BOTH
        MCG_STEP_END("pkhbt r4, r4, r6, lsl #16\n\t" "pkhbt r5, r5, r7, lsl #16\n\t"
                     "and r4, r4, #0xf000f000\n\t" "and r5, r5, #0xf000f000\n\t"
                     "lsr r4, r4, #12\n\t" "orr r4, r4, r5, lsr #8\n\t"
                     "orr r4, r4, r4, lsr #8\n\t"
                     "ldr r8, [r1, #4]\n\t" "ldr r11, [sp, #40]\n\t"
                     "strh r4, [r11, r8]\n\t"));
}

MCG_STEP_FUNCTION(mcg_step_sr16)
{
    __asm__ volatile(
        MCG_STEP_BEGIN
        "ldr r8, [r1, #4]\n\t"
        "ldr r11, [sp, #40]\n\t"
        "ldr r3, [r11, r8]\n\t"
        "uxtb16 r9, r3\n\t"
        "lsl r9, r9, #8\n\t" "orr r9, r9, #0x00800080\n\t"
        "and r3, r3, #0xff00ff00\n\t" "orr r3, r3, #0x00800080\n\t"
        MCG_STEP_BOTH
        MCG_STEP_END("pkhbt r4, r4, r6, lsl #16\n\t" "pkhbt r5, r5, r7, lsl #16\n\t"
                     "lsr r4, r4, #8\n\t" "and r4, r4, #0x00ff00ff\n\t"
                     "and r5, r5, #0xff00ff00\n\t" "orr r4, r4, r5\n\t"
                     "ldr r8, [r1, #4]\n\t" "ldr r11, [sp, #40]\n\t"
                     "str r4, [r11, r8]\n\t"));
}
/* clang-format on */
#else
static mcg_panel_row_t *mcg_step_sr8(const int32_t *sums, mcg_panel_row_t *row, int8_t *w,
                                     mcg_panel_row_t *end, uint8_t *residual, uint32_t more)
{
    return mcg_step_some(sums, row, w, end, residual, more, 0, true);
}

static mcg_panel_row_t *mcg_step_sr12(const int32_t *sums, mcg_panel_row_t *row, int8_t *w,
                                      mcg_panel_row_t *end, uint8_t *residual, uint32_t more)
{
    return mcg_step_some(sums, row, w, end, residual, more, 4, true);
}

static mcg_panel_row_t *mcg_step_sr16(const int32_t *sums, mcg_panel_row_t *row, int8_t *w,
                                      mcg_panel_row_t *end, uint8_t *residual, uint32_t more)
{
    return mcg_step_some(sums, row, w, end, residual, more, 8, false);
}
#endif

/* Four weights of rows from `row` on, as the rule has it. */
static mcg_panel_row_t *mcg_step_on(const int32_t *sums, mcg_panel_row_t *row, int8_t *w,
                                    mcg_panel_row_t *end, uint8_t *residual, uint32_t more,
                                    const mcg_rule_t *rule)
{
    switch (rule->residual_bits) {
        case 0:
            return rule->random ? mcg_step_sr8(sums, row, w, end, residual, more)
                                : mcg_step_some(sums, row, w, end, residual, more, 0, false);
        case 2:
            return mcg_step_some(sums, row, w, end, residual, more, 2, true);
        case 4:
            return mcg_step_sr12(sums, row, w, end, residual, more);
        default:
            return mcg_step_sr16(sums, row, w, end, residual, more);
    }
}

void mcg_panel_step(const int32_t *sums, int32_t rows, int32_t k, int32_t count, const mcg_rule_t *rule,
                    int8_t *w, uint8_t *residual, mcg_panel_row_t *row)
{
    mcg_panel_row_t *const first = row;
    mcg_panel_row_t *const end = row + rows;
    const uint32_t more = (uint32_t)k / 4U * MCG_COUNTER_STEP;
    w += k;
    residual = mcg_residual_at(residual, (k * rule->residual_bits) >> 3);
    mcg_q_clear();
    while (row != end) {
        mcg_panel_row_t *last = end;
#if MCG_HAS_MVE
        if (count == 4 && rule->residual_bits == 0 && rule->random) {
            row += mcg_panel_step_sr8(sums + 4 * (row - first), row, (int32_t)(end - row), more, w);
            last = end - row < 4 ? end : row + 4; /* vectors go on behind these */
        }
#endif
        if (count == 4) {
            row = mcg_step_on(sums + 4 * (row - first), row, w, last, residual, more, rule);
        }
        if (row != last) {
            if (rule->step(w + row->w, mcg_residual_at(residual, row->residual), sums + 4 * (row - first),
                           count, 0, row->scale, row->counter + more)) {
                row->saturated = 1U;
            }
            mcg_q_clear();
            row++;
        }
    }
}
