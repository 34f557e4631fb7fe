/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_patch_s8(const mcg_conv2d_t *g, const int8_t *x, int32_t out_y, int32_t out_x, int16_t *patch)
{
    const int32_t top = out_y * g->stride_h - g->pad_top;
    const int32_t left = out_x * g->stride_w - g->pad_left;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = top + ky * g->dilation_h;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = left + kx * g->dilation_w;
            if (y < 0 || y >= g->in_h || column < 0 || column >= g->in_w) {
                for (int32_t c = 0; c < g->in_c; c++) {
                    patch[c] = 0;
                }
            } else {
                const int8_t *pixel = x + (y * g->in_w + column) * g->in_c;
                for (int32_t c = 0; c < g->in_c; c++) {
                    patch[c] = (int16_t)(pixel[c] - g->x_zero);
                }
            }
            patch += g->in_c;
        }
    }
}
