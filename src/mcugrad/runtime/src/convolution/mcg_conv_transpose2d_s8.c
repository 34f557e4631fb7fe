/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv_transpose2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                             const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                             int32_t *peak, int16_t *patch)
{
    const int32_t in_c = g->in_c;
    const int32_t taps = g->k_h * g->k_w * in_c;
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        const mcg_position_t top = mcg_position(oy + g->pad_top, g->stride_h);
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            const mcg_position_t left = mcg_position(ox + g->pad_left, g->stride_w);
            for (int32_t first = 0; first < g->out_c; first += MCG_BLOCK) {
                const int32_t count = mcg_min(g->out_c - first, MCG_BLOCK);
                mcg_position_t row = top;
                for (int32_t o = 0; o < count; o++) {
                    acc[o] = bias[first + o];
                }
                for (int32_t ky = 0; ky < g->k_h; ky++) {
                    mcg_position_t column = left;
                    for (int32_t kx = 0; kx < g->k_w && mcg_position_hits(row, g->in_h); kx++) {
                        if (mcg_position_hits(column, g->in_w)) {
                            const int8_t *from = x + (row.at * g->in_w + column.at) * in_c;
                            const int8_t *tap = w + first * taps + (ky * g->k_w + kx) * in_c;
                            for (int32_t i = 0; i < in_c; i++) {
                                patch[i] = (int16_t)(from[i] - g->x_zero);
                            }
                            for (int32_t o = 0; o < count; o++) {
                                int32_t sum = acc[o];
                                for (int32_t i = 0; i < in_c; i++) {
                                    sum += tap[i] * patch[i];
                                }
                                acc[o] = sum;
                                tap += taps;
                            }
                        }
                        column = mcg_position_before(column, g->dilation_w, g->stride_w);
                    }
                    row = mcg_position_before(row, g->dilation_h, g->stride_h);
                }
                if (w_zero != NULL) {
                    const mcg_map_t map = {x, g->in_h, g->in_w, in_c, in_c, g->x_zero};
                    mcg_lower(*w_zero * mcg_reach_sum_s8(g, &map, oy, ox), count, acc);
                }
                highest = mcg_max(highest, mcg_output_s8(acc, scale + first, clip, g->y_zero, count, y));
                y += count;
            }
        }
    }
    *peak = highest;
}
