/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv2d_maxpool_update(const mcg_pooled_conv2d_t *g, const int8_t *x, const int8_t *e,
                               const uint8_t *kept, const mcg_scale_t *factor, const mcg_rule_t *rule,
                               const uint32_t *seed, const uint32_t *step, uint32_t tensor, int32_t rows,
                               int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                               int16_t *patch, int32_t room, uint32_t *scratch)
{
    const mcg_conv2d_t *const conv = &g->conv;
    const mcg_pool2d_t *const pool = &g->pool;
    const int32_t taps = conv->k_h * conv->k_w * conv->in_c;
    const uint32_t bits = mcg_maxpool2d_bits(pool);
    const uint32_t mask = (1U << bits) - 1U;
    const int32_t whole = (conv->out_h * conv->out_w * conv->out_c + 3) / 4; /* words of all errors */
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    if (room >= 4 * whole) {
        int8_t *const spread = (int8_t *)scratch;
        mcg_maxpool2d_grad_kept_s8(pool, e, kept, spread);
        mcg_conv2d_update(conv, x, spread, NULL, factor, rule, seed, step, tensor, rows, w, residual, w_scale,
                          gradient, patch, room - 4 * whole, scratch + whole);
        return;
    }
    for (int32_t first = 0; first < conv->out_c; first += rows) {
        const int32_t count = mcg_min(conv->out_c - first, rows);
        int32_t pixel = first;
        for (int32_t i = 0; i < count * taps; i++) {
            gradient[i] = 0;
        }
        for (int32_t oy = 0; oy < pool->out_h; oy++) {
            for (int32_t ox = 0; ox < pool->out_w; ox++) {
                for (int32_t o = 0; o < count; o++) {
                    if (e[pixel + o] != 0) {
                        const uint32_t place = (uint32_t)(pixel + o) * bits;
                        const int32_t won = (int32_t)((uint32_t)kept[place >> 3] >> (place & 7U) & mask);
                        const int32_t down = won / pool->k_w;
                        mcg_add_window_s8(conv, x, oy * pool->stride_h + down,
                                          ox * pool->stride_w + won - down * pool->k_w, e[pixel + o],
                                          gradient + o * taps);
                    }
                }
                pixel += conv->out_c;
            }
        }
        for (int32_t o = 0; o < count; o++) {
            mcg_update_row(rule, gradient + o * taps, taps, first + o, factor, stream, w, residual, w_scale);
        }
    }
}
