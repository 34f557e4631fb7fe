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

/* Two rows and eight inputs at a time: four words of weights and of inputs, a word that is taken apart, two
 * sums and three addresses are all 14 registers that there are. */
#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* A word of either row, and the two words of inputs that belong to it. */
#define MCG_LINEAR_WORDS(a, b, even, odd)            \
    "sxtb16 r3, " a "\n\t"                           \
    "smlad r12, r3, " even ", r12\n\t"               \
    "sxtb16 r3, " b "\n\t"                           \
    "smlad lr, r3, " even ", lr\n\t"                 \
    "sxtb16 " a ", " a ", ror #8\n\t"                \
    "smlad r12, " a ", " odd ", r12\n\t"             \
    "sxtb16 " b ", " b ", ror #8\n\t"                \
    "smlad lr, " b ", " odd ", lr\n\t"
#define MCG_LINEAR_EIGHT(load)                       \
    "ldmia.w r0!, {r4, r5, r6, r7}\n\t"              \
    load                                             \
    MCG_LINEAR_WORDS("r8", "r10", "r4", "r5")        \
    MCG_LINEAR_WORDS("r9", "r11", "r6", "r7")
/* 19 instructions, 76 bytes, for 16 products; 21, 84, where rows may begin anywhere. */
#define MCG_LINEAR_ALIGNED MCG_LINEAR_EIGHT("ldrd r8, r9, [r1], #8\n\t" "ldrd r10, r11, [r2], #8\n\t")
#define MCG_LINEAR_ANYWHERE                          \
    MCG_LINEAR_EIGHT("ldr r8, [r1], #4\n\t" "ldr r9, [r1], #4\n\t" \
                     "ldr r10, [r2], #4\n\t" "ldr r11, [r2], #4\n\t")

/* r0 inputs; r1 first row; r2 from row to row; r3 sums; then how many eights of inputs, and the end of the sums. On
 * the stack: inputs, their end, where the loop is entered, sums; from one pair of rows to the next. */
#define MCG_LINEAR_PAIRS(name, bytes, eight)                                                \
    MCG_NAKED static void name(MCG_SPARE const uint32_t *values, MCG_SPARE const int8_t *w, \
                               MCG_SPARE int32_t pitch, MCG_SPARE int32_t *acc,             \
                               MCG_SPARE int32_t eights, MCG_SPARE int32_t *end)      \
    {                                                                                       \
        __asm__ volatile(                                                                   \
            "push {r4-r11, lr}\n\t"                                                         \
            "sub sp, sp, #20\n\t"                                                           \
            "ldr r4, [sp, #56]\n\t"                                                         \
            "add r5, r0, r4, lsl #4\n\t"                                                    \
            "lsl r6, r2, #1\n\t"                                                            \
            "sub r6, r6, r4, lsl #3\n\t"                                                    \
            "add r2, r1, r2\n\t"                                                            \
            /* The loop does eight eights; of the first round it leaves out what is too much. */ \
            "rsb r4, r4, #0\n\t"                                                            \
            "and r4, r4, #7\n\t"                                                            \
            "mov r8, #" bytes "\n\t"                                                        \
            "adr r9, 1f\n\t"                                                                \
            "mla r9, r4, r8, r9\n\t"                                                        \
            "orr r9, r9, #1\n\t"                                                            \
            "str r0, [sp]\n\t"                                                              \
            "str r5, [sp, #4]\n\t"                                                          \
            "str r9, [sp, #8]\n\t"                                                          \
            "str r3, [sp, #12]\n\t"                                                         \
            "str r6, [sp, #16]\n\t"                                                         \
            "2:\n\t"                                                                        \
            "ldrd r12, lr, [r3]\n\t"                                                        \
            "ldr r0, [sp]\n\t"                                                              \
            "bx r9\n\t"                                                                     \
            ".p2align 2\n"                                                                  \
            "1:\n\t"                                                                      \
            ".rept 8\n\t" eight ".endr\n\t"                                             \
            "ldr r3, [sp, #4]\n\t"                                                          \
            "cmp r0, r3\n\t"                                                                \
            "bne 1b\n\t"                                                                    \
            "ldrd r3, r4, [sp, #12]\n\t"                                                    \
            "ldr r9, [sp, #8]\n\t"                                                          \
            "ldr r5, [sp, #60]\n\t"                                                         \
            "strd r12, lr, [r3], #8\n\t"                                                    \
            "str r3, [sp, #12]\n\t"                                                         \
            "add r1, r1, r4\n\t"                                                            \
            "add r2, r2, r4\n\t"                                                            \
            "cmp r3, r5\n\t"                                                                \
            "bne 2b\n\t"                                                                    \
            "add sp, sp, #20\n\t"                                                           \
            "pop {r4-r11, pc}\n\t");                                                        \
    }

MCG_LINEAR_PAIRS(mcg_linear_aligned, "76", MCG_LINEAR_ALIGNED)
MCG_LINEAR_PAIRS(mcg_linear_anywhere, "84", MCG_LINEAR_ANYWHERE)
/* clang-format on */

static void mcg_linear_pairs(const uint32_t *values, const int8_t *w, int32_t pitch, int32_t *acc,
                             int32_t eights, int32_t *end)
{
    const bool aligned = (((uintptr_t)w | (uintptr_t)pitch) & 3U) == 0U;
    (aligned ? mcg_linear_aligned : mcg_linear_anywhere)(values, w, pitch, acc, eights, end);
}
#else
static void mcg_linear_pairs(const uint32_t *values, const int8_t *w, int32_t pitch, int32_t *acc,
                             int32_t eights, int32_t *end)
{
    for (; acc != end; acc++) {
        *acc = mcg_linear_row(values, w, 2 * eights, *acc);
        w += pitch;
    }
}
#endif

/* Adds the products of some inputs with as many columns of `rows` rows of weights. */
static void mcg_linear_part(const uint32_t *values, const int8_t *w, int32_t inputs, int32_t rows,
                            int32_t words, int32_t *acc)
{
    const int32_t pairs = rows & ~1;
    const int32_t eights = words / 2;
    if (pairs != 0 && eights != 0) {
        mcg_linear_pairs(values, w, inputs, acc, eights, acc + pairs);
    }
    if (words % 2 != 0) {
        for (int32_t o = 0; o < pairs; o++) {
            const int8_t *const last = w + o * inputs + 8 * eights;
            acc[o] = mcg_linear_four(mcg_load32(last), values + 4 * eights, acc[o]);
        }
    }
    if (pairs != rows) {
        acc[pairs] = mcg_linear_row(values, w + pairs * inputs, words, acc[pairs]);
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
