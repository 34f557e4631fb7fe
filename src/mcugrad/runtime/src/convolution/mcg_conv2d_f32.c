/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv2d_f32(const mcg_conv2d_t *g, int32_t groups, const float *x, const float *w, const float *bias,
                    const float *clip, float *y, float *patch)
{
    const int32_t inner = g->in_c / groups;
    const int32_t outer = g->out_c / groups;
    const int32_t taps = g->k_h * g->k_w * inner;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            for (int32_t group = 0; group < groups; group++) {
                const int32_t first = group * outer;
                mcg_patch_f32(g, x + group * inner, inner, oy, ox, patch);
                mcg_dot_f32(taps, outer, patch, w + first * taps, y);
                for (int32_t o = 0; o < outer; o++) {
                    y[o] = mcg_clip_real(y[o] + bias[first + o], clip);
                }
                y += outer;
            }
        }
    }
}
