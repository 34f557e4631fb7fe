/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_patch_f32(const mcg_conv2d_t *g, const float *x, int32_t channels, int32_t out_y, int32_t out_x,
                   float *MCG_RESTRICT patch)
{
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = out_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        int32_t column = out_x * g->stride_w - g->pad_left;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            if (y >= 0 && y < g->in_h && column >= 0 && column < g->in_w) {
                const float *from = x + (y * g->in_w + column) * g->in_c;
                for (int32_t i = 0; i < channels; i++) {
                    patch[i] = from[i];
                }
            } else {
                for (int32_t i = 0; i < channels; i++) {
                    patch[i] = 0.0F;
                }
            }
            patch += channels;
            column += g->dilation_w;
        }
    }
}
