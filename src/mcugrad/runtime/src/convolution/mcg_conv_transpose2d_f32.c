/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Adds the share of one input pixel, [out][k_h][k_w], to the outputs that it reaches. */
static void mcg_add_share(const mcg_conv2d_t *g, const float *share, int32_t in_y, int32_t in_x, float *y)
{
    const int32_t taps = g->k_h * g->k_w;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t row = in_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = in_x * g->stride_w - g->pad_left + kx * g->dilation_w;
            if (row >= 0 && row < g->out_h && column >= 0 && column < g->out_w) {
                float *to = y + (row * g->out_w + column) * g->out_c;
                for (int32_t o = 0; o < g->out_c; o++) {
                    to[o] += share[o * taps + ky * g->k_w + kx];
                }
            }
        }
    }
}

void mcg_conv_transpose2d_f32(const mcg_conv2d_t *g, const float *x, const float *w, const float *bias,
                              const float *clip, float *y, float *patch)
{
    const int32_t pixels = g->out_h * g->out_w;
    for (int32_t i = 0; i < pixels * g->out_c; i++) {
        y[i] = 0.0F;
    }
    for (int32_t iy = 0; iy < g->in_h; iy++) {
        for (int32_t ix = 0; ix < g->in_w; ix++) {
            mcg_dot_f32(g->in_c, g->out_c * g->k_h * g->k_w, x, w, patch);
            mcg_add_share(g, patch, iy, ix, y);
            x += g->in_c;
        }
    }
    for (int32_t i = 0; i < pixels; i++) {
        for (int32_t o = 0; o < g->out_c; o++) {
            y[o] = mcg_clip_real(y[o] + bias[o], clip);
        }
        y += g->out_c;
    }
}
