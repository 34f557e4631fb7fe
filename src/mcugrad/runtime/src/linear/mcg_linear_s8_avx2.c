/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* The last inputs of all, those that whole steps have read before as zeros: so no row is read beyond its end.
 */
static mcg_halves_t mcg_linear_last(const int8_t *x, int32_t zero, int32_t inputs)
{
    mcg_halves_t values = {0};
    for (int32_t i = MCG_LANES_16 - inputs % MCG_LANES_16; i < MCG_LANES_16; i++) {
        values[i] = (int16_t)(x[inputs - MCG_LANES_16 + i] - zero);
    }
    return values;
}

/* The products of all inputs with four rows of weights; `last` as above. */
static void mcg_linear_rows(const mcg_linear_t *g, const int8_t *x, const mcg_halves_t *last,
                            const int8_t *const w[4], int32_t sums[4])
{
    const int16_t zero = (int16_t)g->x_zero;
    const int32_t rest = g->inputs - MCG_LANES_16;
    mcg_words_t acc[4];
    for (int32_t r = 0; r < 4; r++) {
        acc[r] = mcg_products(*last, mcg_widen(mcg_load_bytes(w[r] + rest)));
    }
    for (int32_t i = 0; i <= rest; i += MCG_LANES_16) {
        const mcg_halves_t values = mcg_widen(mcg_load_bytes(x + i)) - zero;
        for (int32_t r = 0; r < 4; r++) {
            acc[r] += mcg_products(values, mcg_widen(mcg_load_bytes(w[r] + i)));
        }
    }
    mcg_sums(acc, sums);
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
    const bool few = g->inputs < MCG_LANES_16;
    const int32_t less = w_zero == NULL ? 0 : *w_zero * mcg_sum_s8(x, g->x_zero, g->inputs);
    mcg_halves_t last = {0};
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
