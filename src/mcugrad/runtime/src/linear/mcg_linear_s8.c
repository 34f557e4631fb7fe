/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Inputs that are widened at a time. */
#define MCG_LINEAR_BLOCK (2 * MCG_BLOCK)

/* Apart: the loops of products need all registers. */
MCG_APART static int32_t mcg_linear_output(const int32_t *acc, const float *scale, const int32_t *clip,
                                           int32_t zero, int32_t count, int8_t *y)
{
    return mcg_output_s8(acc, scale, clip, zero, count, y);
}

void mcg_linear_s8(const mcg_linear_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                   const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                   int32_t room, uint32_t *scratch)
{
    int32_t acc[MCG_BLOCK];
    int16_t value[MCG_LINEAR_BLOCK];
    int32_t highest = 0;
    (void)room;
    (void)scratch;
    for (int32_t first = 0; first < g->out; first += MCG_BLOCK) {
        const int32_t rows = mcg_min(g->out - first, MCG_BLOCK);
        for (int32_t o = 0; o < rows; o++) {
            acc[o] = bias[first + o];
        }
        for (int32_t start = 0; start < g->inputs; start += MCG_LINEAR_BLOCK) {
            const int32_t count = mcg_min(g->inputs - start, MCG_LINEAR_BLOCK);
            for (int32_t i = 0; i < count; i++) {
                value[i] = (int16_t)(x[start + i] - g->x_zero);
            }
            mcg_dot_s8(value, w + first * g->inputs + start, g->inputs, rows, count, acc);
        }
        if (w_zero != NULL) {
            mcg_lower(*w_zero * mcg_sum_s8(x, g->x_zero, g->inputs), rows, acc);
        }
        highest = mcg_max(highest, mcg_linear_output(acc, scale + first, clip, g->y_zero, rows, y + first));
    }
    *peak = highest;
}
