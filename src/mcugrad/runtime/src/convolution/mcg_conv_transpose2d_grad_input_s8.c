/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv_transpose2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                        const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                        const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                                        int32_t *peak)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const int32_t out_c = mcg_active_count(active, g->out_c);
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t iy = 0; iy < g->in_h; iy++) {
        for (int32_t ix = 0; ix < g->in_w; ix++) {
            for (int32_t first = 0; first < g->in_c; first += MCG_BLOCK) {
                const int32_t count = mcg_min(g->in_c - first, MCG_BLOCK);
                const int8_t *tap = w + first;
                int32_t row = iy * g->stride_h - g->pad_top;
                for (int32_t c = 0; c < count; c++) {
                    acc[c] = 0;
                }
                for (int32_t ky = 0; ky < g->k_h; ky++) {
                    int32_t column = ix * g->stride_w - g->pad_left;
                    for (int32_t kx = 0; kx < g->k_w; kx++) {
                        if (row >= 0 && row < g->out_h && column >= 0 && column < g->out_w) {
                            mcg_spread_s8(e + (row * g->out_w + column) * out_c, out_c, active, tap, taps,
                                          count, acc);
                        }
                        column += g->dilation_w;
                        tap += g->in_c;
                    }
                    row += g->dilation_h;
                }
                if (w_zero != NULL) {
                    const mcg_map_t map = {e, g->out_h, g->out_w, out_c, out_c, 0};
                    mcg_lower(*w_zero * mcg_window_sum_s8(g, &map, iy, ix), count, acc);
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
