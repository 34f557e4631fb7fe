/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_grouped_conv2d_s8(const mcg_conv2d_t *g, int32_t groups, const int8_t *x, const int8_t *w,
                           const int32_t *w_zero, const int32_t *bias, const float *scale,
                           const int32_t *clip, int8_t *y, int32_t *peak, int16_t *patch)
{
    const int32_t in_c = g->in_c / groups;
    const int32_t out_c = g->out_c / groups;
    const int32_t taps = g->k_h * g->k_w * in_c;
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            const int8_t *row = w;
            int32_t done = 0;
            for (int32_t group = 0; group < groups; group++) {
                mcg_grouped_patch_s8(g, x + group * in_c, in_c, oy, ox, patch);
                for (int32_t first = 0; first < out_c; first += MCG_BLOCK) {
                    const int32_t count = mcg_min(out_c - first, MCG_BLOCK);
                    for (int32_t o = 0; o < count; o++) {
                        int32_t sum = bias[done + o];
                        for (int32_t k = 0; k < taps; k++) {
                            sum += row[k] * patch[k];
                        }
                        acc[o] = sum;
                        row += taps;
                    }
                    if (w_zero != NULL) {
                        const mcg_map_t map = {x + group * in_c, g->in_h, g->in_w, g->in_c, in_c, g->x_zero};
                        mcg_lower(*w_zero * mcg_window_sum_s8(g, &map, oy, ox), count, acc);
                    }
                    highest = mcg_max(highest, mcg_output_s8(acc, scale + done, clip, g->y_zero, count, y));
                    y += count;
                    done += count;
                }
            }
        }
    }
    *peak = highest;
}
