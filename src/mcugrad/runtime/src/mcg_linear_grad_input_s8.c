/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_linear_grad_input_s8(const mcg_linear_t *g, const int8_t *e, const int8_t *w, const int8_t *x,
                              const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t pixel = 0; pixel < g->inputs; pixel += g->in_c) {
        for (int32_t first = 0; first < g->in_c; first += MCG_BLOCK) {
            const int32_t count = mcg_min(g->in_c - first, MCG_BLOCK);
            const int32_t start = pixel + first;
            for (int32_t c = 0; c < count; c++) {
                acc[c] = 0;
            }
            mcg_spread_s8(e, g->out, w + start, g->inputs, count, acc);
            highest = mcg_max(highest, mcg_error_s8(acc, x + start, g->x_zero, scale + first, clip, count,
                                                    e_x + start));
        }
    }
    *peak = highest;
}
