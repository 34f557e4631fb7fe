/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Four sums, words of a plane and of weights, and addresses of all are the registers that there are. A step
 * of a table is (weight, weight), bytes. Where three taps are neighbours, a word of weights (0, 1) and one of
 * (1, 2) serve even and odd outputs: eight instructions make twelve products. Rows of five and seven
 * neighbours are loaded as a whole, and each word serves all outputs that meet it.
 */
#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* r0 plane; r1 table; r2 sums; r3 end of a row; r4 to r7 sums; r8 to r10 words; r11 and r12 weights; lr where. */
#define MCG_SUMS_OPEN                                                            \
    "push {r4-r11, lr}\n\t"                                                      \
    "1:\n\t"                                                                     \
    "ldmia r1!, {r4-r7}\n\t"
#define MCG_SUMS_CLOSE(rewind, bytes)                                            \
    "str r4, [r2], #16\n\t" "str r5, [r2], #16\n\t"                              \
    "str r6, [r2], #16\n\t" "str r7, [r2], #16\n\t"                              \
    rewind                                                                       \
    "add r0, r0, #" bytes "\n\t"                                                 \
    "cmp r0, r3\n\t"                                                             \
    "bne 1b\n\t"                                                                 \
    "ldr r12, [sp, #36]\n\t"                                                     \
    "ldm r12, {r8-r11}\n\t"                                                      \
    "cmp r3, r11\n\t"                                                            \
    "add r0, r0, r8\n\t"                                                         \
    "add r3, r3, r9\n\t"                                                         \
    "sub r2, r2, r10\n\t"                                                        \
    "bne 1b\n\t"                                                                 \
    "add lr, r12, #24\n\t"                                                       \
    "ldm lr, {r4-r8}\n\t"                                                        \
    "ldr r10, [r12, #16]\n\t"                                                    \
    "add r0, r0, r4\n\t"                                                         \
    "add r3, r3, r4\n\t"                                                         \
    "sub r2, r2, r5\n\t"                                                         \
    "add r1, r1, r6\n\t"                                                         \
    "add r10, r10, r6\n\t"                                                       \
    "add r11, r11, r7\n\t"                                                       \
    "strd r11, r10, [r12, #12]\n\t"                                              \
    "cmp r11, r8\n\t"                                                            \
    "bne 1b\n\t"                                                                 \
    "pop {r4-r11, pc}\n\t"
/* Any number of steps, from one of them on; r10 the end. */
#define MCG_SUMS_LOOP(words, products)                                           \
    "ldr r12, [sp, #36]\n\t"                                                     \
    "ldrd r10, r11, [r12, #16]\n\t"                                              \
    "add r1, r1, r11\n\t"                                                        \
    "2:\n\t"                                                                     \
    "ldmia r1!, {r11, r12, lr}\n\t"                                              \
    "add lr, lr, r0\n\t"                                                         \
    words products                                                               \
    "cmp r1, r10\n\t"                                                            \
    "bne 2b\n\t"
/* Kernel rows of neighbours, from one of them on; addresses wait on the stack, above the end of the table. */
#define MCG_SUMS_ROWS(row)                                                       \
    "ldr r12, [sp, #36]\n\t"                                                     \
    "ldrd r10, r11, [r12, #16]\n\t"                                              \
    "add r1, r1, r11\n\t"                                                        \
    "push {r2, r3, r10}\n\t"                                                     \
    "2:\n\t"                                                                     \
    row                                                                          \
    "ldr r12, [sp, #8]\n\t"                                                      \
    "cmp r1, r12\n\t"                                                            \
    "bne 2b\n\t"                                                                 \
    "pop {r2, r3, r10}\n\t"
#define MCG_SUMS_REWIND                                                          \
    "ldr r12, [sp, #36]\n\t"                                                     \
    "ldr r12, [r12, #44]\n\t"                                                    \
    "sub r1, r1, r12\n\t"
#define MCG_SUMS_FUNCTION(name)                                                  \
    MCG_NAKED static void name(MCG_SPARE const uint32_t *x, MCG_SPARE const uint32_t *table,\
                               MCG_SPARE int32_t *sums, MCG_SPARE const uint32_t *end,\
                               MCG_SPARE mcg_plane_run_t *run)

MCG_SUMS_FUNCTION(mcg_sums_three)
{
    __asm__ volatile(
        MCG_SUMS_OPEN
        MCG_SUMS_THREE("", "r0") MCG_SUMS_THREE(MCG_SUMS_THERE, "lr") MCG_SUMS_THREE(MCG_SUMS_THERE, "lr")
        MCG_SUMS_CLOSE("sub r1, r1, #52\n\t", "8"));
}

MCG_SUMS_FUNCTION(mcg_sums_strided)
{
    __asm__ volatile(
        MCG_SUMS_OPEN
        MCG_SUMS_STRIDED MCG_SUMS_STRIDED MCG_SUMS_STRIDED
        MCG_SUMS_CLOSE("sub r1, r1, #52\n\t", "16"));
}

MCG_SUMS_FUNCTION(mcg_sums_three_odd)
{
    __asm__ volatile(
        MCG_SUMS_OPEN
        MCG_SUMS_THREE_ODD("", "r0") MCG_SUMS_THREE_ODD(MCG_SUMS_THERE, "lr") MCG_SUMS_THREE_ODD(MCG_SUMS_THERE, "lr")
        MCG_SUMS_CLOSE("sub r1, r1, #52\n\t", "8"));
}

MCG_SUMS_FUNCTION(mcg_sums_strided_odd)
{
    __asm__ volatile(
        MCG_SUMS_OPEN
        MCG_SUMS_STRIDED_ODD MCG_SUMS_STRIDED_ODD MCG_SUMS_STRIDED_ODD
        MCG_SUMS_CLOSE("sub r1, r1, #52\n\t", "16"));
}

MCG_SUMS_FUNCTION(mcg_sums_steps)
{
    __asm__ volatile(
        MCG_SUMS_OPEN
        MCG_SUMS_LOOP("ldmia lr, {r8, r9}\n\t",
                      "smlad r4, r8, r11, r4\n\t" "smlad r5, r8, r12, r5\n\t"
                      "smlad r6, r9, r11, r6\n\t" "smlad r7, r9, r12, r7\n\t")
        MCG_SUMS_CLOSE(MCG_SUMS_REWIND, "8"));
}

MCG_SUMS_FUNCTION(mcg_sums_five)
{
    __asm__ volatile(
        MCG_SUMS_OPEN
        MCG_SUMS_ROWS(MCG_SUMS_FIVE)
        MCG_SUMS_CLOSE(MCG_SUMS_REWIND, "8"));
}

MCG_SUMS_FUNCTION(mcg_sums_seven)
{
    __asm__ volatile(
        MCG_SUMS_OPEN
        MCG_SUMS_ROWS(MCG_SUMS_SEVEN)
        MCG_SUMS_CLOSE(MCG_SUMS_REWIND, "8"));
}

MCG_SUMS_FUNCTION(mcg_sums_strided_five)
{
    __asm__ volatile(
        MCG_SUMS_OPEN
        MCG_SUMS_ROWS(MCG_SUMS_STRIDED_FIVE)
        MCG_SUMS_CLOSE(MCG_SUMS_REWIND, "16"));
}

MCG_SUMS_FUNCTION(mcg_sums_strided_seven)
{
    __asm__ volatile(
        MCG_SUMS_OPEN
        MCG_SUMS_ROWS(MCG_SUMS_STRIDED_SEVEN)
        MCG_SUMS_CLOSE(MCG_SUMS_REWIND, "16"));
}

MCG_SUMS_FUNCTION(mcg_sums_strided_steps)
{
    __asm__ volatile(
        MCG_SUMS_OPEN
        MCG_SUMS_LOOP("ldmia lr, {r8, r9, r12, lr}\n\t",
                      "smlad r4, r8, r11, r4\n\t" "smlad r5, r9, r11, r5\n\t"
                      "smlad r6, r12, r11, r6\n\t" "smlad r7, lr, r11, r7\n\t")
        MCG_SUMS_CLOSE(MCG_SUMS_REWIND, "16"));
}
/* clang-format on */

void mcg_plane_sums(int32_t kind, const uint32_t *x, const uint32_t *table, int32_t *sums,
                    const uint32_t *end, mcg_plane_run_t *run)
{
    switch (kind) {
        case MCG_PLANE_THREE:
            mcg_sums_three(x, table, sums, end, run);
            break;
        case MCG_PLANE_STRIDED:
            mcg_sums_strided(x, table, sums, end, run);
            break;
        case MCG_PLANE_THREE_ODD:
            mcg_sums_three_odd(x, table, sums, end, run);
            break;
        case MCG_PLANE_STRIDED_ODD:
            mcg_sums_strided_odd(x, table, sums, end, run);
            break;
        case MCG_PLANE_STEPS:
            mcg_sums_steps(x, table, sums, end, run);
            break;
        case MCG_PLANE_FIVE:
            mcg_sums_five(x, table, sums, end, run);
            break;
        case MCG_PLANE_STRIDED_FIVE:
            mcg_sums_strided_five(x, table, sums, end, run);
            break;
        case MCG_PLANE_SEVEN:
            mcg_sums_seven(x, table, sums, end, run);
            break;
        case MCG_PLANE_STRIDED_SEVEN:
            mcg_sums_strided_seven(x, table, sums, end, run);
            break;
        default:
            mcg_sums_strided_steps(x, table, sums, end, run);
            break;
    }
}
#else
/* Words of a table for a kernel row or a step, and which of them says where it is. */
static int32_t mcg_sums_words(int32_t kind, int32_t *at)
{
    static const int32_t words[] = {5, 4, 7, 5};
    static const int32_t places[] = {4, 3, 2, 2};
    *at = kind < MCG_PLANE_FIVE ? 2 : places[kind - MCG_PLANE_FIVE];
    return kind < MCG_PLANE_FIVE ? 3 : words[kind - MCG_PLANE_FIVE];
}

/* One of four sums, of a kernel row of 5 or 7 neighbours; `from` is the first half that counts. */
static int32_t mcg_sums_row(int32_t kind, int32_t from, const uint32_t *x, const uint32_t *weights,
                            int32_t sum)
{
    const int32_t twos = kind == MCG_PLANE_FIVE ? 2 : 3;
    const int32_t apart = kind == MCG_PLANE_FIVE ? 0 : 1; /* a word between the first two and the others */
    x += from / 2;
    if (from % 2 != 0) {
        sum += mcg_half(*x++, 1) * mcg_half(weights[0], 0);
    }
    for (int32_t i = 0; i < twos; i++) {
        const uint32_t *const two = weights + 2 * i + (i == 0 ? 0 : apart);
        sum = mcg_smlad(x[i], two[from % 2], sum);
        if (from % 2 == 0 && i + 1 == twos) {
            sum += mcg_half(x[twos], 0) * mcg_half(two[1], 1);
        }
    }
    return sum;
}

/* The same with a stride of 2. */
static int32_t mcg_sums_strided_row(const uint32_t *x, const uint32_t *weights, int32_t words, int32_t at,
                                    int32_t sum)
{
    for (int32_t i = 0; i < words; i++) {
        if (i != at) {
            sum = mcg_smlad(*x++, weights[i], sum);
        }
    }
    return sum;
}

/* One of four sums: the step's words are those from `x` on. */
static int32_t mcg_sums_one(int32_t kind, int32_t i, const uint32_t *x, const uint32_t *weights, int32_t sum)
{
    switch (kind) {
        case MCG_PLANE_THREE:
            x += i / 2;
            return i % 2 == 0
                       ? mcg_smlad(x[0], weights[0], sum) + mcg_half(x[1], 0) * mcg_half(weights[1], 1)
                       : mcg_smlad(x[1], weights[1], sum) + mcg_half(x[0], 1) * mcg_half(weights[0], 0);
        case MCG_PLANE_STRIDED:
            return mcg_smlad(x[i], weights[0], sum) + mcg_half(x[i + 1], 0) * mcg_half(weights[1], 1);
        case MCG_PLANE_THREE_ODD:
            x += i / 2;
            return i % 2 == 0
                       ? mcg_smlad(x[1], weights[1], sum) + mcg_half(x[0], 1) * mcg_half(weights[0], 0)
                       : mcg_smlad(x[1], weights[0], sum) + mcg_half(x[2], 0) * mcg_half(weights[1], 1);
        case MCG_PLANE_STRIDED_ODD:
            return mcg_smlad(x[i + 1], weights[1], sum) + mcg_half(x[i], 1) * mcg_half(weights[0], 0);
        case MCG_PLANE_STEPS:
            return mcg_smlad(x[i / 2], weights[i % 2], sum);
        case MCG_PLANE_FIVE:
            return mcg_sums_row(kind, i, x, weights, sum);
        case MCG_PLANE_SEVEN:
            return mcg_sums_row(kind, i + 1, x, weights, sum);
        case MCG_PLANE_STRIDED_FIVE:
            return mcg_sums_strided_row(x + i, weights, 4, 3, sum);
        case MCG_PLANE_STRIDED_SEVEN:
            return mcg_sums_strided_row(x + i, weights, 5, 2, sum);
        default:
            return mcg_smlad(x[i], weights[0], sum);
    }
}

void mcg_plane_sums(int32_t kind, const uint32_t *x, const uint32_t *table, int32_t *sums,
                    const uint32_t *end, mcg_plane_run_t *run)
{
    const int32_t four = kind % 2 == 0 ? 2 : 4; /* words of four outputs */
    int32_t at;
    const int32_t words = mcg_sums_words(kind, &at);
    for (;;) {
        for (; x != end; x += four) {
            for (int32_t i = 0; i < 4; i++) {
                int32_t sum = (int32_t)table[i];
                for (const uint32_t *step = table + 4 + run->over / 4; step != run->table; step += words) {
                    sum = mcg_sums_one(kind, i, x + (int32_t)step[at] / 4, step, sum);
                }
                *sums = sum;
                sums += MCG_PLANE_CHANNELS;
            }
        }
        const bool whole = end == run->last;
        x += run->skip / 4;
        end += run->pitch / 4;
        sums -= run->back / 4;
        if (whole) {
            x += run->on / 4;
            end += run->on / 4;
            sums -= run->down / 4;
            table += run->size / 4;
            run->table += run->size / 4;
            run->last += run->plane / 4;
            if (run->last == run->final) {
                return;
            }
        }
    }
}
#endif
