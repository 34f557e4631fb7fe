/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Two halves of a product are two rows, so words of weights of two rows are packed half by half, and widened
 * after that: two instructions that pack and four that widen serve eight products.
 */
#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* Two rows: words a and b, and their errors. */
#define MCG_SPREAD_TWO(a, b, errors)                   \
    "pkhbt r2, " a ", " b ", lsl #16\n\t"              \
    "pkhtb " a ", " b ", " a ", asr #16\n\t"           \
    "sxtb16 " b ", r2\n\t"                             \
    "smlad r4, " b ", " errors ", r4\n\t"              \
    "sxtb16 r2, r2, ror #8\n\t"                        \
    "smlad r5, r2, " errors ", r5\n\t"                 \
    "sxtb16 " b ", " a "\n\t"                          \
    "smlad r6, " b ", " errors ", r6\n\t"              \
    "sxtb16 " a ", " a ", ror #8\n\t"                  \
    "smlad r7, " a ", " errors ", r7\n\t"
/* 25 instructions, 100 bytes, for 16 products. */
#define MCG_SPREAD_FOUR                                \
    "ldmia.w r0!, {r8, r9, r10, r11, r12, lr}\n\t"     \
    "ldr.w r8, [r1, r8]\n\t"                           \
    "ldr.w r9, [r1, r9]\n\t"                           \
    "ldr.w r10, [r1, r10]\n\t"                         \
    "ldr.w r11, [r1, r11]\n\t"                         \
    MCG_SPREAD_TWO("r8", "r9", "r12")                  \
    MCG_SPREAD_TWO("r10", "r11", "lr")

/* r0 groups, r1 the first column, r2 sums, r3 the end of the groups; then the end of the columns, how many
 * groups, and whether sums begin as they are. On the stack: sums, groups, where the loop is entered. */
MCG_NAKED static void mcg_spread_columns(MCG_SPARE const mcg_row_group_t *list, MCG_SPARE const int8_t *w,
                                         MCG_SPARE int32_t *acc, MCG_SPARE const mcg_row_group_t *end,
                                         MCG_SPARE const int8_t *w_end, MCG_SPARE int32_t groups,
                                         MCG_SPARE bool more)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #12\n\t"
        "ldr r12, [sp, #52]\n\t"
        "str r0, [sp, #4]\n\t"
        /* The loop does eight groups; of the first round it leaves out what makes their number a multiple. */
        "rsb r12, r12, #0\n\t"
        "and r12, r12, #7\n\t"
        "mov r8, #100\n\t"
        "adr r9, 1f\n\t"
        "mla r9, r12, r8, r9\n\t"
        "orr r9, r9, #1\n\t"
        "str r9, [sp, #8]\n\t"
        "ldr r12, [sp, #56]\n\t"
        "cmp r12, #0\n\t"
        "bne 2f\n\t"
        "ldr r9, [sp, #48]\n\t"
        "sub r9, r9, r1\n\t"
        "add r9, r2, r9, lsl #2\n\t"
        "mov r4, #0\n\t" "mov r5, #0\n\t" "mov r6, #0\n\t" "mov r7, #0\n\t"
        "mov r8, r2\n\t"
        "3:\n\t"
        "stmia r8!, {r4-r7}\n\t"
        "cmp r8, r9\n\t"
        "bne 3b\n\t"
        "2:\n\t"
        "ldm r2, {r4-r7}\n\t"
        "str r2, [sp]\n\t"
        "ldrd r0, r9, [sp, #4]\n\t"
        "bx r9\n\t"
        ".p2align 2\n"
        "1:\n\t"
        ".rept 8\n\t" MCG_SPREAD_FOUR ".endr\n\t"
        "cmp r0, r3\n\t"
        "bne 1b\n\t"
        "ldr r2, [sp]\n\t"
        "ldr r8, [sp, #48]\n\t"
        "stmia r2!, {r4-r7}\n\t"
        "add r1, r1, #4\n\t"
        "cmp r1, r8\n\t"
        "bne 2b\n\t"
        "add sp, sp, #12\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
static void mcg_spread_columns(const mcg_row_group_t *list, const int8_t *w, int32_t *acc,
                               const mcg_row_group_t *end, const int8_t *w_end, int32_t groups, bool more)
{
    (void)groups;
    for (; w != w_end; w += 4) {
        for (int32_t i = 0; i < 4 && !more; i++) {
            acc[i] = 0;
        }
        for (const mcg_row_group_t *group = list; group != end; group++) {
            for (uint32_t i = 0; i < 2U; i++) {
                const uint32_t a = mcg_load32(w + group->at[2U * i]);
                const uint32_t b = mcg_load32(w + group->at[2U * i + 1U]);
                const uint32_t errors = mcg_load32(group->error + 2U * i);
                const uint32_t low = mcg_pkhbt(a, b);
                const uint32_t high = mcg_pkhtb(a, b);
                acc[0] = mcg_smlad(mcg_sxtb16(low), errors, acc[0]);
                acc[1] = mcg_smlad(mcg_sxtb16_odd(low), errors, acc[1]);
                acc[2] = mcg_smlad(mcg_sxtb16(high), errors, acc[2]);
                acc[3] = mcg_smlad(mcg_sxtb16_odd(high), errors, acc[3]);
            }
        }
        acc += 4;
    }
}
#endif

static void mcg_spread_whole(const mcg_row_group_t *list, int32_t groups, const int8_t *w, int32_t columns,
                             bool more, int32_t *acc)
{
    mcg_spread_columns(list, w, acc, list + groups, w + columns, groups, more);
}

/* Less than four columns. */
static void mcg_spread_few(const mcg_row_group_t *list, int32_t groups, const int8_t *w, int32_t columns,
                           int32_t *acc)
{
    for (int32_t c = 0; c < columns; c++) {
        int32_t sum = 0;
        for (const mcg_row_group_t *group = list; group != list + groups; group++) {
            sum += group->error[0] * w[group->at[0]];
            sum += group->error[1] * w[group->at[1]];
            sum += group->error[2] * w[group->at[2]];
            sum += group->error[3] * w[group->at[3]];
        }
        acc[c] += sum;
        w++;
    }
}

void mcg_row_spread(const mcg_row_group_t *list, int32_t groups, const int8_t *w, int32_t columns, bool more,
                    int32_t *acc)
{
    const int32_t whole = columns & ~3;
    const int32_t rest = columns - whole;
    if (whole != 0) {
        mcg_spread_whole(list, groups, w, whole, more, acc);
    }
    if (rest == 0) {
        return;
    }
    for (int32_t c = whole; c < columns && !more; c++) {
        acc[c] = 0;
    }
    if (whole != 0) { /* the last four, of which some are done */
        int32_t last[4];
        mcg_spread_whole(list, groups, w + columns - 4, 4, false, last);
        for (int32_t c = 0; c < rest; c++) {
            acc[whole + c] += last[4 - rest + c];
        }
    } else {
        mcg_spread_few(list, groups, w, columns, acc);
    }
}
