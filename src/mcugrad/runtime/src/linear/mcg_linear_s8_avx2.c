/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "mcugrad/mcg_all.h"

/* What is read at a time. */
#define MCG_LINEAR_STEP 16

static inline __m256i mcg_linear_widen(const int8_t *from)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)from));
}

/* The last inputs of all, those that whole steps have read before as zeros: so no row is read beyond its end.
 */
static __m256i mcg_linear_last(const int8_t *x, int32_t zero, int32_t inputs)
{
    int16_t values[MCG_LINEAR_STEP];
    const int32_t known = MCG_LINEAR_STEP - inputs % MCG_LINEAR_STEP;
    for (int32_t i = 0; i < MCG_LINEAR_STEP; i++) {
        values[i] = (int16_t)(i < known ? 0 : x[inputs - MCG_LINEAR_STEP + i] - zero);
    }
    return _mm256_loadu_si256((const __m256i *)values);
}

/* Adds the products of all inputs with four rows of weights; of fewer, where the others are one of them
 * again. */
static void mcg_linear_rows(const mcg_linear_t *g, const int8_t *x, __m256i last, const int8_t *const w[4],
                            int32_t sums[4])
{
    const __m256i zero = _mm256_set1_epi16((int16_t)g->x_zero);
    const int32_t rest = g->inputs - MCG_LINEAR_STEP;
    __m256i a[4];
    __m128i sum;
    for (int32_t o = 0; o < 4; o++) {
        a[o] = _mm256_madd_epi16(last, mcg_linear_widen(w[o] + rest));
    }
    for (int32_t i = 0; i <= rest; i += MCG_LINEAR_STEP) {
        const __m256i values = _mm256_sub_epi16(mcg_linear_widen(x + i), zero);
        for (int32_t o = 0; o < 4; o++) {
            a[o] = _mm256_add_epi32(a[o], _mm256_madd_epi16(values, mcg_linear_widen(w[o] + i)));
        }
    }
    a[0] = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0], a[1]), _mm256_hadd_epi32(a[2], a[3]));
    sum = _mm_add_epi32(_mm256_castsi256_si128(a[0]), _mm256_extracti128_si256(a[0], 1));
    _mm_storeu_si128((__m128i *)sums, sum);
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
    const __m256i last = few ? _mm256_setzero_si256() : mcg_linear_last(x, g->x_zero, g->inputs);
    const int32_t less = w_zero == NULL ? 0 : *w_zero * mcg_sum_s8(x, g->x_zero, g->inputs);
    int32_t acc[4];
    int32_t highest = 0;
    (void)room;
    (void)scratch;
    for (int32_t first = 0; first < g->out; first += 4) {
        const int32_t rows = mcg_min(g->out - first, 4);
        const int8_t *row[4];
        for (int32_t o = 0; o < 4; o++) {
            row[o] = w + (first + mcg_min(o, rows - 1)) * g->inputs;
            acc[o] = few ? mcg_linear_few(g, x, row[o]) : 0;
        }
        if (!few) {
            mcg_linear_rows(g, x, last, row, acc);
        }
        for (int32_t o = 0; o < rows; o++) {
            acc[o] += bias[first + o] - less;
        }
        highest = mcg_max(highest, mcg_output_s8(acc, scale + first, clip, g->y_zero, rows, y + first));
    }
    *peak = highest;
}
