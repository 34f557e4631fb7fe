/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Inputs that are widened at a time; a multiple of 4. */
#define MCG_LINEAR_BLOCK (2 * MCG_BLOCK)

/* The rest of a row, 1 to 3 bytes that end there, without a look beyond it: zeros stand above them. */
static inline uint32_t mcg_linear_rest(const int8_t *row, int32_t inputs)
{
    const int32_t count = inputs & 3;
    uint32_t word = 0;
    if (inputs >= 4) {
        return mcg_load32(row + inputs - 4) >> (32 - 8 * count);
    }
    for (int32_t i = 0; i < count; i++) {
        word |= (uint32_t)(uint8_t)row[i] << (8 * i);
    }
    return word;
}

/* One more word of weights: its even bytes are for the first of two words of inputs, its odd ones for the
 * other. */
static inline int32_t mcg_linear_four(uint32_t word, const uint32_t *values, int32_t sum)
{
    return mcg_smlad(mcg_sxtb16_odd(word), values[1], mcg_smlad(mcg_sxtb16(word), values[0], sum));
}

static int32_t mcg_linear_row(const uint32_t *values, const int8_t *w, int32_t words, int32_t sum)
{
    for (int32_t i = 0; i < words; i++) {
        sum = mcg_linear_four(mcg_load32(w + 4 * i), values + 2 * i, sum);
    }
    return sum;
}

/* Four rows at a time: two words of weights and two of inputs, their addresses, four sums and the end are all
 * 14 registers that there are, and compilers do not get by with them. */
#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
#define MCG_LINEAR_ROW(word, sum)           \
    "sxtb16 lr, " word "\n\t"               \
    "sxtb16 " word ", " word ", ror #8\n\t" \
    "smlad " sum ", lr, r8, " sum "\n\t"    \
    "smlad " sum ", " word ", r9, " sum "\n\t"
/* 21 instructions, 84 bytes, for 16 products. */
#define MCG_LINEAR_FOUR          \
    "ldr r10, [r1, r2]\n\t"          \
    "ldr r11, [r1, r2, lsl #1]\n\t"  \
    "ldrd r8, r9, [r0], #8\n\t"      \
    MCG_LINEAR_ROW("r10", "r5")      \
    MCG_LINEAR_ROW("r11", "r6")      \
    "ldr r10, [r1], #4\n\t"          \
    "ldr r11, [r12], #4\n\t"         \
    MCG_LINEAR_ROW("r10", "r4")      \
    MCG_LINEAR_ROW("r11", "r7")
/* clang-format on */

/* r0 inputs; r1 and r12 first and last row; r2 from row to row; r3 end of the inputs; r4 to r7 sums; words
 * >= 1. */
MCG_NAKED static void mcg_linear_rows(MCG_SPARE const uint32_t *values, MCG_SPARE const int8_t *w,
                                      MCG_SPARE int32_t pitch, MCG_SPARE int32_t *acc,
                                      MCG_SPARE int32_t words)
{
    __asm__ volatile(
        "push {r3-r11, lr}\n\t"
        "ldr r12, [sp, #40]\n\t"
        "ldmia r3, {r4-r7}\n\t"
        "add r3, r0, r12, lsl #3\n\t"
        /* The loop does four words; of the first round it leaves out what makes their number a multiple. */
        "rsb r12, r12, #0\n\t"
        "and r12, r12, #3\n\t"
        "mov r8, #84\n\t"
        "adr r9, 1f\n\t"
        "mla r9, r12, r8, r9\n\t"
        "orr r9, r9, #1\n\t"
        "add r12, r1, r2, lsl #1\n\t"
        "add r12, r12, r2\n\t"
        "bx r9\n\t"
        ".p2align 2\n"
        "1:\n\t" MCG_LINEAR_FOUR MCG_LINEAR_FOUR MCG_LINEAR_FOUR MCG_LINEAR_FOUR
        "cmp r0, r3\n\t"
        "bne 1b\n\t"
        "pop {r3}\n\t"
        "stmia r3, {r4-r7}\n\t"
        "pop {r4-r11, pc}\n\t");
}
#else
static void mcg_linear_rows(const uint32_t *values, const int8_t *w, int32_t pitch, int32_t *acc,
                            int32_t words)
{
    for (int32_t o = 0; o < 4; o++) {
        acc[o] = mcg_linear_row(values, w + o * pitch, words, acc[o]);
    }
}
#endif

/* Adds the products of some inputs with as many columns of `rows` rows of weights. */
static void mcg_linear_part(const uint32_t *values, const int8_t *w, int32_t inputs, int32_t rows,
                            int32_t words, int32_t *acc)
{
    int32_t o = 0;
    for (; o + 4 <= rows; o += 4) {
        mcg_linear_rows(values, w + o * inputs, inputs, acc + o, words);
    }
    for (; o < rows; o++) {
        acc[o] = mcg_linear_row(values, w + o * inputs, words, acc[o]);
    }
}

/* Inputs less their zero point, in pairs as weights are taken apart. */
static void mcg_linear_widen(const int8_t *x, uint32_t zero, int32_t words, uint32_t *values)
{
    for (int32_t i = 0; i < words; i++) {
        const uint32_t word = mcg_load32(x + 4 * i);
        values[2 * i] = mcg_sxtab16(zero, word);
        values[2 * i + 1] = mcg_sxtab16_odd(zero, word);
    }
}

void mcg_linear_s8(const mcg_linear_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                   const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                   int32_t room, uint32_t *scratch)
{
    const uint32_t zero = mcg_halves(-g->x_zero, -g->x_zero);
    const int32_t inputs = g->inputs;
    const bool whole = room >= inputs / 4 * 8;
    const int32_t block = whole ? inputs : MCG_LINEAR_BLOCK;
    int32_t acc[MCG_BLOCK];
    uint32_t few[MCG_LINEAR_BLOCK / 2];
    uint32_t *const values = whole ? scratch : few;
    int32_t highest = 0;
    for (int32_t first = 0; first < g->out; first += MCG_BLOCK) {
        const int32_t rows = mcg_min(g->out - first, MCG_BLOCK);
        const int8_t *row = w + first * inputs;
        for (int32_t o = 0; o < rows; o++) {
            acc[o] = bias[first + o];
        }
        for (int32_t start = 0; start + 4 <= inputs; start += block) {
            const int32_t words = mcg_min(inputs - start, block) / 4;
            if (!whole || first == 0) {
                mcg_linear_widen(x + start, zero, words, values);
            }
            mcg_linear_part(values, row + start, inputs, rows, words, acc);
        }
        if ((inputs & 3) != 0) {
            uint32_t rest[2];
            const uint32_t word = mcg_linear_rest(x, inputs);
            rest[0] = mcg_sxtab16(zero, word);
            rest[1] = mcg_sxtab16_odd(zero, word);
            for (int32_t o = 0; o < rows; o++) {
                acc[o] = mcg_linear_four(mcg_linear_rest(row + o * inputs, inputs), rest, acc[o]);
            }
        }
        if (w_zero != NULL) {
            mcg_lower(*w_zero * mcg_sum_s8(x, g->x_zero, inputs), rows, acc);
        }
        highest = mcg_max(highest, mcg_output_s8(acc, scale + first, clip, g->y_zero, rows, y + first));
    }
    *peak = highest;
}
