/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels_f32.h"

/* Adds what one window contributes to the gradients of a block of channels. */
static void mcg_depthwise_products(const mcg_conv2d_t *g, int32_t count, const float *x, const float *e,
                                   int32_t out_y, int32_t out_x, float *restrict gradient)
{
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t row = out_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = out_x * g->stride_w - g->pad_left + kx * g->dilation_w;
            if (row >= 0 && row < g->in_h && column >= 0 && column < g->in_w) {
                const float *from = x + (row * g->in_w + column) * g->in_c;
                for (int32_t c = 0; c < count; c++) {
                    gradient[c] += e[c] * from[c];
                }
            }
            gradient += count;
        }
    }
}

void mcg_depthwise_conv2d_update_f32(const mcg_conv2d_t *g, int32_t block, const float *x, const float *e,
                                     const float *rate, float *w, float *packed)
{
    const int32_t taps = g->k_h * g->k_w;
    for (int32_t first = 0; first < g->in_c; first += block) {
        const int32_t count = mcg_min(g->in_c - first, block);
        const float *error = e + first;
        float *rows = w + first * taps;
        for (int32_t i = 0; i < taps * count; i++) {
            packed[i] = 0.0F;
        }
        for (int32_t oy = 0; oy < g->out_h; oy++) {
            for (int32_t ox = 0; ox < g->out_w; ox++) {
                mcg_depthwise_products(g, count, x + first, error, oy, ox, packed);
                error += g->in_c;
            }
        }
        for (int32_t tap = 0; tap < taps; tap++) {
            for (int32_t c = 0; c < count; c++) {
                rows[c * taps + tap] -= *rate * packed[tap * count + c];
            }
        }
    }
}
