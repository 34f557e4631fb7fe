/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Gradients of some output channels, a pixel at a time: windows of so many channels have no place. */
static void mcg_pointwise_large_rows(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, int32_t out_c,
                                     int32_t count, int32_t *gradient)
{
    for (int32_t i = 0; i < count * g->in_c; i++) {
        gradient[i] = 0;
    }
    for (int32_t pixel = 0; pixel < g->out_h * g->out_w; pixel++) {
        for (int32_t o = 0; o < count; o++) {
            for (int32_t i = 0; i < g->in_c; i++) {
                gradient[o * g->in_c + i] += e[o] * (x[i] - g->x_zero);
            }
        }
        x += g->in_c;
        e += out_c;
    }
}

void mcg_pointwise_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                          const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                          const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                          float *w_scale, int32_t *gradient, int32_t room, uint32_t *scratch)
{
    const int32_t out_c = mcg_active_count(active, g->out_c);
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    int16_t window[MCG_WINDOW_TAPS];
    if (g->in_c <= MCG_WINDOW_TAPS) {
        mcg_conv2d_update(g, x, e, active, factor, rule, seed, step, tensor, rows, w, residual, w_scale,
                          gradient, window, room, scratch);
        return;
    }
    for (int32_t first = 0; first < out_c; first += rows) {
        const int32_t count = mcg_min(out_c - first, rows);
        mcg_pointwise_large_rows(g, x, e + first, out_c, count, gradient);
        for (int32_t o = 0; o < count; o++) {
            mcg_update_row(rule, gradient + o * g->in_c, g->in_c, mcg_active_at(active, first + o), factor,
                           stream, w, residual, w_scale);
        }
    }
}
