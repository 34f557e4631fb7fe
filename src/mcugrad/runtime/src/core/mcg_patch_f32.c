/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_patch_f32(const mcg_conv2d_t *g, const float *x, int32_t channels, int32_t out_y, int32_t out_x,
                   float *MCG_RESTRICT patch)
{
    const int32_t left = out_x * g->stride_w - g->pad_left;
    const int32_t row = g->k_w * channels;
    /* A row of the window lies in one piece, and within the map. */
    const bool whole = channels == g->in_c && g->dilation_w == 1 && left >= 0 && left + g->k_w <= g->in_w;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = out_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        const bool within = y >= 0 && y < g->in_h;
        if (whole && within) {
            mcg_copy_f32(row, x + (y * g->in_w + left) * channels, patch);
            patch += row;
            continue;
        }
        int32_t column = left;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            if (within && column >= 0 && column < g->in_w) {
                mcg_copy_f32(channels, x + (y * g->in_w + column) * g->in_c, patch);
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
