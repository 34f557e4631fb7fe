/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_grouped_patch_s8(const mcg_conv2d_t *g, const int8_t *x, int32_t channels, int32_t out_y,
                          int32_t out_x, int16_t *MCG_RESTRICT patch)
{
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = out_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        int32_t column = out_x * g->stride_w - g->pad_left;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            if (y >= 0 && y < g->in_h && column >= 0 && column < g->in_w) {
                const int8_t *from = x + (y * g->in_w + column) * g->in_c;
                for (int32_t i = 0; i < channels; i++) {
                    patch[i] = (int16_t)(from[i] - g->x_zero);
                }
            } else {
                for (int32_t i = 0; i < channels; i++) {
                    patch[i] = 0;
                }
            }
            patch += channels;
            column += g->dilation_w;
        }
    }
}
