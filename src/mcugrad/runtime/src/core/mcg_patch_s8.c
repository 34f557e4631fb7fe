/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

static void mcg_patch_zero(int16_t *patch, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        patch[i] = 0;
    }
}

static void mcg_patch_copy(const int8_t *x, int32_t x_zero, int16_t *patch, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        patch[i] = (int16_t)(x[i] - x_zero);
    }
}

void mcg_patch_s8(const mcg_conv2d_t *g, const int8_t *x, int32_t out_y, int32_t out_x, int16_t *patch)
{
    const int32_t row = g->k_w * g->in_c;
    const int32_t top = out_y * g->stride_h - g->pad_top;
    const int32_t left = out_x * g->stride_w - g->pad_left;
    /* Taps next to each other in the kernel are next to each other in the map: a row is one piece. */
    const bool whole = g->dilation_w == 1 && left >= 0 && left + g->k_w <= g->in_w;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = top + ky * g->dilation_h;
        const int32_t line = y * g->in_w;
        if (y < 0 || y >= g->in_h) {
            mcg_patch_zero(patch, row);
        } else if (whole) {
            mcg_patch_copy(x + (line + left) * g->in_c, g->x_zero, patch, row);
        } else {
            for (int32_t kx = 0; kx < g->k_w; kx++) {
                const int32_t column = left + kx * g->dilation_w;
                if (column < 0 || column >= g->in_w) {
                    mcg_patch_zero(patch + kx * g->in_c, g->in_c);
                } else {
                    mcg_patch_copy(x + (line + column) * g->in_c, g->x_zero, patch + kx * g->in_c, g->in_c);
                }
            }
        }
        patch += row;
    }
}
