/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* What is read at a time. Compilers' own vectors: the header of intrinsics wants a C library. */
#define MCG_LINEAR_STEP 16
typedef int8_t mcg_linear_bytes_t __attribute__((vector_size(16)));
typedef char mcg_linear_chars_t __attribute__((vector_size(16)));
typedef int16_t mcg_linear_halves_t __attribute__((vector_size(32)));
typedef int32_t mcg_linear_words_t __attribute__((vector_size(32)));

static inline mcg_linear_halves_t mcg_linear_widen(const int8_t *from)
{
    mcg_linear_bytes_t bytes;
    __builtin_memcpy(&bytes, from, sizeof bytes);
#if MCG_GCC /* makes two halves of what it is told in general terms */
    return (mcg_linear_halves_t)__builtin_ia32_pmovsxbw256((mcg_linear_chars_t)bytes);
#else
    return __builtin_convertvector(bytes, mcg_linear_halves_t);
#endif
}

/* VPMADDWD: sums of two products each. */
static inline mcg_linear_words_t mcg_linear_products(mcg_linear_halves_t a, mcg_linear_halves_t b)
{
    return (mcg_linear_words_t)__builtin_ia32_pmaddwd256(a, b);
}

static inline int32_t mcg_linear_sum(mcg_linear_words_t v)
{
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

/* The last inputs of all, those that whole steps have read before as zeros: so no row is read beyond its end.
 */
static mcg_linear_halves_t mcg_linear_last(const int8_t *x, int32_t zero, int32_t inputs)
{
    mcg_linear_halves_t values = {0};
    for (int32_t i = MCG_LINEAR_STEP - inputs % MCG_LINEAR_STEP; i < MCG_LINEAR_STEP; i++) {
        values[i] = (int16_t)(x[inputs - MCG_LINEAR_STEP + i] - zero);
    }
    return values;
}

/* The products of all inputs with four rows of weights; `last` as above. */
static void mcg_linear_rows(const mcg_linear_t *g, const int8_t *x, const mcg_linear_halves_t *last,
                            const int8_t *const w[4], int32_t sums[4])
{
    const int16_t zero = (int16_t)g->x_zero;
    const int32_t rest = g->inputs - MCG_LINEAR_STEP;
    mcg_linear_words_t a0 = mcg_linear_products(*last, mcg_linear_widen(w[0] + rest));
    mcg_linear_words_t a1 = mcg_linear_products(*last, mcg_linear_widen(w[1] + rest));
    mcg_linear_words_t a2 = mcg_linear_products(*last, mcg_linear_widen(w[2] + rest));
    mcg_linear_words_t a3 = mcg_linear_products(*last, mcg_linear_widen(w[3] + rest));
    for (int32_t i = 0; i <= rest; i += MCG_LINEAR_STEP) {
        const mcg_linear_halves_t values = mcg_linear_widen(x + i) - zero;
        a0 += mcg_linear_products(values, mcg_linear_widen(w[0] + i));
        a1 += mcg_linear_products(values, mcg_linear_widen(w[1] + i));
        a2 += mcg_linear_products(values, mcg_linear_widen(w[2] + i));
        a3 += mcg_linear_products(values, mcg_linear_widen(w[3] + i));
    }
    sums[0] = mcg_linear_sum(a0);
    sums[1] = mcg_linear_sum(a1);
    sums[2] = mcg_linear_sum(a2);
    sums[3] = mcg_linear_sum(a3);
}

static int32_t mcg_linear_few(const mcg_linear_t *g, const int8_t *x, const int8_t *w)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < g->inputs; i++) {
        sum += w[i] * (x[i] - g->x_zero);
    }
    return sum;
}

void mcg_linear_s8(const mcg_linear_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                   const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                   int32_t room, uint32_t *scratch)
{
    const bool few = g->inputs < MCG_LINEAR_STEP;
    const int32_t less = w_zero == NULL ? 0 : *w_zero * mcg_sum_s8(x, g->x_zero, g->inputs);
    mcg_linear_halves_t last = {0};
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    (void)room;
    (void)scratch;
    if (!few) {
        last = mcg_linear_last(x, g->x_zero, g->inputs);
    }
    for (int32_t first = 0; first < g->out; first += MCG_BLOCK) {
        const int32_t rows = mcg_min(g->out - first, MCG_BLOCK);
        for (int32_t o = 0; o < rows; o += 4) {
            int32_t sums[4] = {0, 0, 0, 0};
            const int8_t *row[4]; /* beyond the last row that one again */
            for (int32_t i = 0; i < 4; i++) {
                row[i] = w + (first + mcg_min(o + i, rows - 1)) * g->inputs;
                if (few) {
                    sums[i] = mcg_linear_few(g, x, row[i]);
                }
            }
            if (!few) {
                mcg_linear_rows(g, x, &last, row, sums);
            }
            for (int32_t i = 0; i < 4; i++) { /* a block is a multiple of 4 */
                acc[o + i] = sums[i] + (o + i < rows ? bias[first + o + i] : 0) - less;
            }
        }
        highest = mcg_max(highest, mcg_output_s8(acc, scale + first, clip, g->y_zero, rows, y + first));
    }
    *peak = highest;
}
