/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv2d_any_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                       const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                       int16_t *patch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            mcg_patch_s8(g, x, oy, ox, patch);
            for (int32_t first = 0; first < g->out_c; first += MCG_BLOCK) {
                const int32_t count = mcg_min(g->out_c - first, MCG_BLOCK);
                for (int32_t o = 0; o < count; o++) {
                    acc[o] = bias[first + o];
                }
                mcg_dot_s8(patch, w + first * taps, taps, count, taps, acc);
                if (w_zero != NULL) {
                    const mcg_map_t map = {x, g->in_h, g->in_w, g->in_c, g->in_c, g->x_zero};
                    mcg_lower(*w_zero * mcg_window_sum_s8(g, &map, oy, ox), count, acc);
                }
                highest = mcg_max(highest, mcg_output_s8(acc, scale + first, clip, g->y_zero, count, y));
                y += count;
            }
        }
    }
    *peak = highest;
}
