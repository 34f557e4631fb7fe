/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Adds what one input pixel contributes to the gradients of an output channel; e begins at that channel. */
static void mcg_add_pixel(const mcg_conv2d_t *g, int32_t channels, const float *x, const float *e,
                          int32_t in_y, int32_t in_x, float *gradient)
{
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t row = in_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = in_x * g->stride_w - g->pad_left + kx * g->dilation_w;
            if (row >= 0 && row < g->out_h && column >= 0 && column < g->out_w) {
                const float *error = e + (row * g->out_w + column) * channels;
                if (*error != 0.0F) {
                    mcg_add_scaled_f32(g->in_c, error, x, gradient);
                }
            }
            gradient += g->in_c;
        }
    }
}

void mcg_conv_transpose2d_update_f32(const mcg_conv2d_t *g, const float *x, const float *e,
                                     const uint16_t *active, const float *rate, float *w, float *gradient)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const int32_t channels = mcg_active_count(active, g->out_c);
    for (int32_t k = 0; k < channels; k++) {
        float *row = w + mcg_active_at(active, k) * taps;
        const float *pixel = x;
        for (int32_t i = 0; i < taps; i++) {
            gradient[i] = 0.0F;
        }
        for (int32_t iy = 0; iy < g->in_h; iy++) {
            for (int32_t ix = 0; ix < g->in_w; ix++) {
                mcg_add_pixel(g, channels, pixel, e + k, iy, ix, gradient);
                pixel += g->in_c;
            }
        }
        for (int32_t i = 0; i < taps; i++) {
            row[i] -= *rate * gradient[i];
        }
    }
}
