/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_linear_grad_input_s8(const mcg_linear_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                              const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                              const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const int32_t out = mcg_active_count(active, g->out);
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    int32_t channel = 0;
    for (int32_t start = 0; start < g->inputs; start += MCG_BLOCK) {
        const int32_t count = mcg_min(g->inputs - start, MCG_BLOCK);
        for (int32_t c = 0; c < count; c++) {
            acc[c] = 0;
        }
        mcg_spread_s8(e, out, active, w + start, g->inputs, count, acc);
        if (w_zero != NULL) {
            mcg_lower(*w_zero * mcg_sum_s8(e, 0, out), count, acc);
        }
        for (int32_t c = 0; c < count;) {
            const int32_t part = mcg_min(count - c, g->in_c - channel);
            highest = mcg_max(highest, mcg_error_s8(acc + c, x + start + c, g->x_zero, scale + channel, clip,
                                                    part, e_x + start + c));
            c += part;
            channel += part;
            if (channel == g->in_c) {
                channel = 0;
            }
        }
    }
    *peak = highest;
}
