/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* The sums of one window over a block of channels; x and y begin at its first channel. */
static void mcg_depthwise_window(const mcg_conv2d_t *g, int32_t count, const float *x, const float *packed,
                                 int32_t out_y, int32_t out_x, float *MCG_RESTRICT y)
{
    for (int32_t c = 0; c < count; c++) {
        y[c] = 0.0F;
    }
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t row = out_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = out_x * g->stride_w - g->pad_left + kx * g->dilation_w;
            if (row >= 0 && row < g->in_h && column >= 0 && column < g->in_w) {
                mcg_add_products_f32(count, x + (row * g->in_w + column) * g->in_c, packed, y);
            }
            packed += count;
        }
    }
}

void mcg_depthwise_conv2d_f32(const mcg_conv2d_t *g, int32_t block, const float *x, const float *w,
                              const float *bias, const float *clip, float *y, float *packed)
{
    const int32_t taps = g->k_h * g->k_w;
    for (int32_t first = 0; first < g->in_c; first += block) {
        const int32_t count = mcg_min(g->in_c - first, block);
        float *to = y + first;
        mcg_depthwise_pack_f32(w + first * taps, NULL, taps, count, packed);
        for (int32_t oy = 0; oy < g->out_h; oy++) {
            for (int32_t ox = 0; ox < g->out_w; ox++) {
                mcg_depthwise_window(g, count, x + first, packed, oy, ox, to);
                for (int32_t c = 0; c < count; c++) {
                    to[c] = mcg_clip_real(to[c] + bias[first + c], clip);
                }
                to += g->in_c;
            }
        }
    }
}
