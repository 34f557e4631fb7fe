/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Four weights at a time, as mcg_panel_step has them, with gradients that are one product each. Weights are
 * taken from -128 on: then one saturating instruction tells by Q of those beyond int8, and a comparison of
 * bytes with 0 by GE of -128, which is none; both flags are in one word. Those that leave their range are
 * held to its ends, and the row grows behind them.
 */

/* What does not change along a row: the error, shifted as its factor asks, and the factor as SMMULR has it.
 */
typedef struct {
    int32_t error;
    int32_t factor;
    uint32_t less; /* minus the zero point, twice */
} mcg_linear_step_t;

/* Gradients of four weights. */
static inline void mcg_linear_gradients(const int8_t *x, int32_t zero, int32_t error, int32_t count,
                                        int32_t *gradient)
{
    for (int32_t i = 0; i < count; i++) {
        gradient[i] = error * (x[i] - zero);
    }
}

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* r0 weights, r1 inputs, r2 counter, r3 residual bits; then where weights end, minus the zero point, the distance of
 * counters, error and factor. Whether a weight left its range, which is the first word of the stack. */
#define MCG_LINEAR_STEP_FUNCTION(name)                                                       \
    MCG_NAKED static bool name(   MCG_SPARE int8_t *w, MCG_SPARE const int8_t *x,            \
                                  MCG_SPARE uint32_t counter, MCG_SPARE uint8_t *residual,   \
                                  MCG_SPARE const int8_t *end, MCG_SPARE uint32_t less,      \
                                  MCG_SPARE uint32_t distance, MCG_SPARE int32_t error,      \
                                  MCG_SPARE int32_t factor)
#define MCG_LINEAR_STEP_BEGIN                                                                \
    "push {r3-r11, lr}\n\t"                                                                  \
    "ldrd r11, r10, [sp, #52]\n\t"                                                           \
    "mov r4, #0\n\t"                                                                         \
    "str r4, [sp]\n\t"                                                                       \
    "movw lr, #0x352d\n\t" "movt lr, #0x7feb\n\t"                                            \
    "1:\n\t"                                                                                 \
    "ldr r5, [r1], #4\n\t"                                                                   \
    "ldrd r12, r6, [sp, #44]\n\t"                                                            \
    "sxtab16 r4, r12, r5\n\t"                                                                \
    "sxtab16 r5, r12, r5, ror #8\n\t"
/* r9 a random word; r6 the distance of counters. */
#define MCG_LINEAR_STEP_RANDOM                                                               \
    "eor r9, r2, r2, lsr #16\n\t"                                                            \
    "mul r9, r9, lr\n\t"                                                                     \
    "eor r9, r9, r9, lsr #15\n\t"                                                            \
    "mul r9, r9, lr\n\t"                                                                     \
    "eor r9, r9, r9, lsr #16\n\t"                                                            \
    "add r2, r2, r6\n\t"
/* r9 and r8 the low halves of sums: 0 and 2, 1 and 3. lr and r4, r9 and r5 become the sums. */
#define MCG_LINEAR_STEP_BOTH                                                                 \
    "ldr r6, [r0]\n\t"                                                                       \
    "mov r12, #0x00800080\n\t"                                                               \
    "sxtab16 r7, r12, r6\n\t"                                                                \
    "sxtab16 r6, r12, r6, ror #8\n\t"                                                        \
    "smulbb lr, r4, r11\n\t" "pkhbt r12, r9, r7, lsl #16\n\t" "smmlsr lr, lr, r10, r12\n\t"  \
    "smultb r4, r4, r11\n\t" "pkhtb r12, r7, r9, asr #16\n\t" "smmlsr r4, r4, r10, r12\n\t"  \
    "smulbb r9, r5, r11\n\t" "pkhbt r12, r8, r6, lsl #16\n\t" "smmlsr r9, r9, r10, r12\n\t"  \
    "smultb r5, r5, r11\n\t" "pkhtb r12, r6, r8, asr #16\n\t" "smmlsr r5, r5, r10, r12\n\t"  \
    "pkhtb r6, r4, lr, asr #16\n\t" "pkhtb r7, r5, r9, asr #16\n\t"
/* r6 and r7 new weights, 0 and 2, 1 and 3. */
#define MCG_LINEAR_STEP_END(keep, beyond)                                                    \
    "usat16 r6, #8, r6\n\t" "usat16 r7, #8, r7\n\t"                                          \
    "orr r6, r6, r7, lsl #8\n\t"                                                            \
    "mov r7, #0\n\t"                                                                         \
    "usub8 r7, r7, r6\n\t"                                                                   \
    "mrs r7, apsr\n\t"                                                                       \
    "lsls r7, r7, #4\n\t"                                                                    \
    "bne 2f\n\t"                                                                             \
    "3:\n\t"                                                                                 \
    "eor r6, r6, #0x80808080\n\t"                                                            \
    "str r6, [r0], #4\n\t"                                                                   \
    keep                                                                                     \
    "ldr r12, [sp, #40]\n\t"                                                                 \
    "cmp r0, r12\n\t"                                                                        \
    "bne 1b\n\t"                                                                             \
    "ldr r0, [sp]\n\t"                                                                       \
    "pop {r3-r11, pc}\n\t"                                                                   \
    "2:\n\t"                                                                                 \
    beyond                                                                                   \
    "mov r7, #1\n\t"                                                                         \
    "str r7, [sp]\n\t"                                                                       \
    "mov r7, #0\n\t"                                                                         \
    "msr apsr_nzcvq, r7\n\t"                                                                 \
    "b 3b\n\t"
/* r6 bytes, of which GE tells those that are 0. */
#define MCG_LINEAR_STEP_BYTES                                                                \
    "mov r7, #0x01010101\n\t"                                                                \
    "sel r6, r7, r6\n\t"
/* A sum within the range of weights and their residual bits. */
#define MCG_LINEAR_STEP_WITHIN(sum)                                                          \
    "usat " sum ", #24, " sum "\n\t"                                                         \
    "cmp " sum ", #0x10000\n\t"                                                              \
    "it lt\n\t"                                                                              \
    "movlt " sum ", #0x10000\n\t"
#define MCG_LINEAR_STEP_SUMS                                                                 \
    MCG_LINEAR_STEP_WITHIN("lr") MCG_LINEAR_STEP_WITHIN("r4")                                \
    MCG_LINEAR_STEP_WITHIN("r9") MCG_LINEAR_STEP_WITHIN("r5")                                \
    "pkhtb r6, r4, lr, asr #16\n\t" "pkhtb r7, r5, r9, asr #16\n\t"                          \
    "orr r6, r6, r7, lsl #8\n\t"

MCG_LINEAR_STEP_FUNCTION(mcg_linear_sr8)
{
    __asm__ volatile(
        MCG_LINEAR_STEP_BEGIN
        MCG_LINEAR_STEP_RANDOM
        "ldr r8, [r0]\n\t"
        "mov r12, #0x00800080\n\t"
        "sxtab16 r3, r12, r8\n\t"
        "sxtab16 r8, r12, r8, ror #24\n\t" /* weights 3 and 1 */
        "smulbb r6, r4, r11\n\t" "pkhbt r12, r9, r3, lsl #16\n\t" "smmlsr r6, r6, r10, r12\n\t"
        "smulbb r7, r5, r11\n\t" "pkhtb r12, r8, r9, asr #16\n\t" "smmlsr r7, r7, r10, r12\n\t"
        "ror r9, r9, #8\n\t"
        "smultb r4, r4, r11\n\t" "pkhbt r12, r9, r3\n\t" "smmlsr r4, r4, r10, r12\n\t"
        "ror r9, r9, #16\n\t"
        "smultb r5, r5, r11\n\t" "pkhbt r12, r9, r8, lsl #16\n\t" "smmlsr r5, r5, r10, r12\n\t"
        "pkhtb r6, r4, r6, asr #16\n\t" "pkhtb r7, r5, r7, asr #16\n\t"
        MCG_LINEAR_STEP_END("", MCG_LINEAR_STEP_BYTES));
}

MCG_LINEAR_STEP_FUNCTION(mcg_linear_sr12)
{
    __asm__ volatile(
        MCG_LINEAR_STEP_BEGIN
        MCG_LINEAR_STEP_RANDOM
        "ror r12, r9, #8\n\t"
        "pkhtb r8, r12, r9, asr #16\n\t"
        "pkhbt r9, r9, r12, lsl #16\n\t"
        "ldrh r12, [r3]\n\t"
        "orr r12, r12, r12, lsl #8\n\t"
        "and r12, r12, #0x00ff00ff\n\t"
        "lsl r6, r12, #12\n\t" "and r6, r6, #0xf000f000\n\t"
        "lsr r9, r9, #4\n\t" "bic r9, r9, #0xf000f000\n\t" "orr r9, r9, r6\n\t"
        "lsl r6, r12, #8\n\t" "and r6, r6, #0xf000f000\n\t"
        "lsr r8, r8, #4\n\t" "bic r8, r8, #0xf000f000\n\t" "orr r8, r8, r6\n\t"
        MCG_LINEAR_STEP_BOTH
        MCG_LINEAR_STEP_END("pkhbt r4, lr, r4, lsl #16\n\t" "pkhbt r5, r9, r5, lsl #16\n\t"
                            "and r4, r4, #0xf000f000\n\t" "and r5, r5, #0xf000f000\n\t"
                            "lsr r4, r4, #12\n\t" "orr r4, r4, r5, lsr #8\n\t"
                            "orr r4, r4, r4, lsr #8\n\t"
                            "strh r4, [r3], #2\n\t"
                            "movw lr, #0x352d\n\t" "movt lr, #0x7feb\n\t",
                            MCG_LINEAR_STEP_SUMS));
}

MCG_LINEAR_STEP_FUNCTION(mcg_linear_sr16)
{
    __asm__ volatile(
        MCG_LINEAR_STEP_BEGIN
        "ldr r8, [r3]\n\t"
        "uxtb16 r9, r8\n\t"
        "lsl r9, r9, #8\n\t" "orr r9, r9, #0x00800080\n\t"
        "and r8, r8, #0xff00ff00\n\t" "orr r8, r8, #0x00800080\n\t"
        MCG_LINEAR_STEP_BOTH
        MCG_LINEAR_STEP_END("pkhbt r4, lr, r4, lsl #16\n\t" "pkhbt r5, r9, r5, lsl #16\n\t"
                            "lsr r4, r4, #8\n\t" "and r4, r4, #0x00ff00ff\n\t"
                            "and r5, r5, #0xff00ff00\n\t" "orr r4, r4, r5\n\t"
                            "str r4, [r3], #4\n\t",
                            MCG_LINEAR_STEP_SUMS));
}
/* clang-format on */

static bool mcg_linear_run(int8_t *w, const int8_t *x, uint32_t counter, uint8_t *residual, const int8_t *end,
                           const mcg_linear_step_t *s, int32_t bits)
{
    return (bits == 0   ? mcg_linear_sr8
            : bits == 4 ? mcg_linear_sr12
                        : mcg_linear_sr16)(w, x, counter, residual, end, s->less, MCG_COUNTER_STEP, s->error,
                                           s->factor);
}
#else
/* Four weights; whether one of them left its range. */
static bool mcg_linear_step_four(int8_t *w, const int8_t *x, uint32_t counter, uint8_t *residual,
                                 const mcg_linear_step_t *s, int32_t bits)
{
    const uint32_t word = mcg_load32(x);
    const uint32_t old = mcg_load32(w);
    const uint32_t values[2] = {mcg_sxtab16(s->less, word), mcg_sxtab16_odd(s->less, word)};
    const uint32_t weights[2] = {mcg_sxtab16(0x00800080U, old), mcg_sxtab16_odd(0x00800080U, old)};
    const uint32_t error = (uint32_t)s->error;
    const uint32_t hash = bits == 8 ? 0x80008000U : mcg_hash(counter);
    const uint32_t turned = (hash >> 8) | (hash << 24);
    uint32_t low[2] = {mcg_pkhbt(hash, turned), mcg_pkhtb(hash, turned)};
    uint32_t sum[2][2];
    uint32_t changed;
    bool saturated = false;
    if (bits == 4) {
        const uint32_t two = (uint32_t)residual[0] | (uint32_t)residual[1] << 16;
        low[0] = (two << 12 & 0xf000f000U) | (low[0] >> 4 & 0x0fff0fffU);
        low[1] = (two << 8 & 0xf000f000U) | (low[1] >> 4 & 0x0fff0fffU);
    } else if (bits == 8) {
        const uint32_t four = mcg_load32(residual);
        low[0] = mcg_uxtb16(four) << 8 | 0x00800080U;
        low[1] = (four & 0xff00ff00U) | 0x00800080U;
    }
    for (int32_t i = 0; i < 2; i++) {
        sum[i][0] = (uint32_t)mcg_smmlsr(mcg_smulbb(values[i], error), s->factor,
                                         (int32_t)mcg_pkhbt(low[i], weights[i]));
        sum[i][1] = (uint32_t)mcg_smmlsr(mcg_smultb(values[i], error), s->factor,
                                         (int32_t)mcg_pkhtb(low[i], weights[i]));
    }
    for (int32_t i = 0; i < 4; i++) {
        const int32_t within = mcg_clamp((int32_t)sum[i >> 1][i & 1], 0x10000, 0xffffff);
        saturated |= within != (int32_t)sum[i >> 1][i & 1];
        sum[i >> 1][i & 1] = (uint32_t)within;
    }
    changed = mcg_pkhtb(sum[0][0], sum[0][1]) | mcg_pkhtb(sum[1][0], sum[1][1]) << 8;
    changed ^= 0x80808080U;
    mcg_store32(w, changed);
    if (bits == 4) {
        const uint32_t two = (mcg_pkhbt(sum[0][0], sum[0][1]) >> 12 & 0x000f000fU) |
                             (mcg_pkhbt(sum[1][0], sum[1][1]) >> 8 & 0x00f000f0U);
        residual[0] = (uint8_t)two;
        residual[1] = (uint8_t)(two >> 16);
    } else if (bits == 8) {
        mcg_store32(residual, (mcg_pkhbt(sum[0][0], sum[0][1]) >> 8 & 0x00ff00ffU) |
                                  (mcg_pkhbt(sum[1][0], sum[1][1]) & 0xff00ff00U));
    }
    return saturated;
}

static bool mcg_linear_run(int8_t *w, const int8_t *x, uint32_t counter, uint8_t *residual, const int8_t *end,
                           const mcg_linear_step_t *s, int32_t bits)
{
    bool saturated = false;
    while (w != end) {
        saturated |= mcg_linear_step_four(w, x, counter, residual, s, bits);
        w += 4;
        x += 4;
        counter += MCG_COUNTER_STEP;
        residual = mcg_residual_at(residual, bits / 2);
    }
    return saturated;
}
#endif

/* A row, four weights at a time; whether one of them saturated. */
static bool mcg_linear_row_fast(const mcg_linear_t *g, const int8_t *x, int32_t error, mcg_scale_t scale,
                                const mcg_rule_t *rule, int8_t *w, uint8_t *residual, uint32_t counter)
{
    const int32_t bits = rule->residual_bits;
    const int32_t whole = g->inputs & ~3;
    mcg_linear_step_t s;
    int32_t gradient[3];
    bool saturated = false;
    s.error = error * ((int32_t)1 << scale.pre);
    s.factor = (int32_t)((uint32_t)scale.mult << (32U - scale.shift));
    s.less = mcg_halves(-g->x_zero, -g->x_zero);
    if (whole != 0) {
        mcg_q_clear();
        saturated = mcg_linear_run(w, x, counter, residual, w + whole, &s, bits);
    }
    if (whole != g->inputs) {
        mcg_linear_gradients(x + whole, g->x_zero, error, g->inputs - whole, gradient);
        saturated |=
            rule->step(w + whole, mcg_residual_at(residual, whole * bits / 8), gradient, g->inputs - whole, 0,
                       scale, counter + (uint32_t)whole / 4U * MCG_COUNTER_STEP);
    }
    return saturated;
}

/* The same for other rules, and factors that shift an error out of half a word. */
static bool mcg_linear_row_any(const mcg_linear_t *g, const int8_t *x, int32_t error, mcg_scale_t scale,
                               const mcg_rule_t *rule, int8_t *w, uint8_t *residual, uint32_t counter)
{
    int32_t gradient[MCG_BLOCK];
    bool saturated = false;
    for (int32_t first = 0; first < g->inputs; first += MCG_BLOCK) {
        const int32_t count = mcg_min(g->inputs - first, MCG_BLOCK);
        mcg_linear_gradients(x + first, g->x_zero, error, count, gradient);
        saturated |= rule->step(w + first, mcg_residual_at(residual, first * rule->residual_bits / 8),
                                gradient, count, first, scale, counter);
    }
    return saturated;
}

void mcg_linear_update(const mcg_linear_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int8_t *w, uint8_t *residual, float *w_scale)
{
    const uint32_t words = ((uint32_t)g->inputs + 3U) / 4U;
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    const int32_t out = mcg_active_count(active, g->out);
    const int32_t bits = rule->residual_bits;
    const bool known = bits == 4 || bits == 8 || (bits == 0 && rule->random);
    for (int32_t k = 0; k < out; k++) {
        const int32_t o = mcg_active_at(active, k);
        int8_t *const row = w + o * g->inputs;
        uint8_t *const low = mcg_residual_at(residual, o * ((g->inputs * bits + 7) / 8));
        const uint32_t counter = stream + (uint32_t)o * words * MCG_COUNTER_STEP;
        const bool fast = known && factor[o].pre <= 8;
        if (e[k] == 0) {
            continue; /* a zero gradient leaves a weight as it is, whatever the random number */
        }
        if ((fast ? mcg_linear_row_fast : mcg_linear_row_any)(g, x, e[k], factor[o], rule, row, low,
                                                              counter)) {
            rule->grow(row, low, g->inputs);
            w_scale[o] *= MCG_GROWTH;
        }
    }
}
