/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_grouped_conv2d_grad_input_s8(const mcg_conv2d_t *g, int32_t groups, const int8_t *e,
                                      const uint16_t *active, const int8_t *w, const int32_t *w_zero,
                                      const int8_t *x, const mcg_scale_t *scale, const int32_t *clip,
                                      int8_t *e_x, int32_t *peak)
{
    const int32_t in_c = g->in_c / groups;
    const int32_t out_c = g->out_c / groups;
    const int32_t taps = g->k_h * g->k_w * in_c;
    const int32_t channels = mcg_active_count(active, g->out_c);
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t iy = 0; iy < g->in_h; iy++) {
        const mcg_position_t top = mcg_position(iy + g->pad_top, g->stride_h);
        for (int32_t ix = 0; ix < g->in_w; ix++) {
            const mcg_position_t left = mcg_position(ix + g->pad_left, g->stride_w);
            int32_t begin = 0; /* errors of the group that is next */
            int32_t end = 0;
            for (int32_t first = 0; first < g->in_c;) {
                /* A block of channels of one group. */
                const int32_t group = first / in_c;
                const int32_t inside = first - group * in_c;
                const int32_t count = mcg_min(in_c - inside, MCG_BLOCK);
                const int8_t *tap = w + inside;
                mcg_position_t y = top;
                if (inside == 0) {
                    begin = end;
                    end = mcg_active_before(active, begin, (group + 1) * out_c);
                }
                tap += active == NULL ? begin * taps : 0;
                for (int32_t c = 0; c < count; c++) {
                    acc[c] = 0;
                }
                for (int32_t ky = 0; ky < g->k_h; ky++) {
                    if (mcg_position_hits(y, g->out_h)) {
                        mcg_position_t column = left;
                        for (int32_t kx = 0; kx < g->k_w; kx++) {
                            if (mcg_position_hits(column, g->out_w)) {
                                mcg_spread_s8(e + (y.at * g->out_w + column.at) * channels + begin,
                                              end - begin, active == NULL ? NULL : active + begin,
                                              tap + kx * in_c, taps, count, acc);
                            }
                            column = mcg_position_before(column, g->dilation_w, g->stride_w);
                        }
                    }
                    y = mcg_position_before(y, g->dilation_h, g->stride_h);
                    tap += g->k_w * in_c;
                }
                if (w_zero != NULL) {
                    const mcg_map_t map = {e + begin, g->out_h, g->out_w, channels, end - begin, 0};
                    mcg_lower(*w_zero * mcg_reach_sum_s8(g, &map, iy, ix), count, acc);
                }
                highest = mcg_max(highest, mcg_error_s8(acc, x + first, g->x_zero, scale + first, clip, count,
                                                        e_x + first));
                first += count;
            }
            x += g->in_c;
            e_x += g->in_c;
        }
    }
    *peak = highest;
}
