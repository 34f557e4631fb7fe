/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_conv2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                   const mcg_scale_t *scale, const int32_t *clip, int8_t *y, int32_t *peak, int16_t *patch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    int32_t highest = 0;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            mcg_patch_s8(g, x, oy, ox, patch);
            for (int32_t o = 0; o < g->out_c; o++) {
                const int8_t *row = w + o * taps;
                int32_t acc = bias[o];
                for (int32_t k = 0; k < taps; k++) {
                    acc += row[k] * patch[k];
                }
                acc = mcg_clamp(mcg_rescale(acc, scale[o]), clip[0], clip[1]);
                highest = mcg_max(highest, mcg_abs(acc));
                *y++ = (int8_t)mcg_clamp(acc + g->y_zero, -128, 127);
            }
        }
    }
    *peak = highest;
}
