/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv2d_any_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                  const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                  const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const int32_t out_c = mcg_active_count(active, g->out_c);
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t iy = 0; iy < g->in_h; iy++) {
        const mcg_position_t top = mcg_position(iy + g->pad_top, g->stride_h);
        for (int32_t ix = 0; ix < g->in_w; ix++) {
            const mcg_position_t left = mcg_position(ix + g->pad_left, g->stride_w);
            for (int32_t first = 0; first < g->in_c; first += MCG_BLOCK) {
                const int32_t count = mcg_min(g->in_c - first, MCG_BLOCK);
                const int8_t *tap = w + first;
                mcg_position_t y = top;
                for (int32_t c = 0; c < count; c++) {
                    acc[c] = 0;
                }
                for (int32_t ky = 0; ky < g->k_h; ky++) {
                    if (mcg_position_hits(y, g->out_h)) {
                        mcg_position_t column = left;
                        for (int32_t kx = 0; kx < g->k_w; kx++) {
                            if (mcg_position_hits(column, g->out_w)) {
                                mcg_spread_s8(e + (y.at * g->out_w + column.at) * out_c, out_c, active,
                                              tap + kx * g->in_c, taps, count, acc);
                            }
                            column = mcg_position_before(column, g->dilation_w, g->stride_w);
                        }
                    }
                    y = mcg_position_before(y, g->dilation_h, g->stride_h);
                    tap += g->k_w * g->in_c;
                }
                if (w_zero != NULL) {
                    const mcg_map_t map = {e, g->out_h, g->out_w, out_c, out_c, 0};
                    mcg_lower(*w_zero * mcg_reach_sum_s8(g, &map, iy, ix), count, acc);
                }
                highest = mcg_max(highest, mcg_error_s8(acc, x + first, g->x_zero, scale + first, clip, count,
                                                        e_x + first));
            }
            x += g->in_c;
            e_x += g->in_c;
        }
    }
    *peak = highest;
}
