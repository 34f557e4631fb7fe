/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Adds what one window contributes to the gradients of a block of channels; e begins at the first of them,
 * and so do active, or else x. */
static void mcg_depthwise_products(const mcg_conv2d_t *g, int32_t count, const float *x, const float *e,
                                   const uint16_t *active, int32_t out_y, int32_t out_x,
                                   float *MCG_RESTRICT gradient)
{
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t row = out_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = out_x * g->stride_w - g->pad_left + kx * g->dilation_w;
            if (row >= 0 && row < g->in_h && column >= 0 && column < g->in_w) {
                const float *from = x + (row * g->in_w + column) * g->in_c;
                if (active == NULL) {
                    mcg_add_products_f32(count, e, from, gradient);
                } else {
                    for (int32_t c = 0; c < count; c++) {
                        gradient[c] += e[c] * from[active[1 + c]];
                    }
                }
            }
            gradient += count;
        }
    }
}

void mcg_depthwise_conv2d_update_f32(const mcg_conv2d_t *g, int32_t block, const float *x, const float *e,
                                     const uint16_t *active, const float *rate, float *w, float *packed)
{
    const int32_t taps = g->k_h * g->k_w;
    const int32_t channels = mcg_active_count(active, g->in_c);
    for (int32_t first = 0; first < channels; first += block) {
        const int32_t count = mcg_min(channels - first, block);
        const uint16_t *list = mcg_active_from(active, first);
        const int32_t at = active == NULL ? first : 0;
        const float *error = e + first;
        for (int32_t i = 0; i < taps * count; i++) {
            packed[i] = 0.0F;
        }
        for (int32_t oy = 0; oy < g->out_h; oy++) {
            for (int32_t ox = 0; ox < g->out_w; ox++) {
                mcg_depthwise_products(g, count, x + at, error, list, oy, ox, packed);
                error += channels;
            }
        }
        for (int32_t c = 0; c < count; c++) {
            float *row = w + (at + mcg_active_at(list, c)) * taps;
            for (int32_t tap = 0; tap < taps; tap++) {
                row[tap] -= *rate * packed[tap * count + c];
            }
        }
    }
}
