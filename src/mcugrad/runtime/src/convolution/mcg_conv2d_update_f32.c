/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Adds what one window contributes to the gradients of a few rows; reads the window when an error asks for
 * it. */
static void mcg_add_window(const mcg_conv2d_t *g, const float *x, int32_t channels, int32_t out_y,
                           int32_t out_x, const float *e, int32_t rows, float *gradient, float *patch)
{
    const int32_t taps = g->k_h * g->k_w * channels;
    bool known = false;
    for (int32_t r = 0; r < rows; r++) {
        if (e[r] != 0.0F) {
            if (!known) {
                mcg_patch_f32(g, x, channels, out_y, out_x, patch);
                known = true;
            }
            mcg_add_scaled_f32(taps, e + r, patch, gradient + r * taps);
        }
    }
}

void mcg_conv2d_update_f32(const mcg_conv2d_t *g, int32_t groups, const float *x, const float *e,
                           const uint16_t *active, const float *rate, int32_t rows, float *w, float *gradient,
                           float *patch)
{
    const int32_t inner = g->in_c / groups;
    const int32_t outer = g->out_c / groups;
    const int32_t taps = g->k_h * g->k_w * inner;
    const int32_t channels = mcg_active_count(active, g->out_c);
    for (int32_t first = 0; first < channels;) {
        const int32_t group = mcg_active_at(active, first) / outer;
        const int32_t rest = mcg_active_before(active, first, (group + 1) * outer) - first;
        const int32_t count = mcg_min(rows, rest);
        const float *error = e + first;
        for (int32_t i = 0; i < count * taps; i++) {
            gradient[i] = 0.0F;
        }
        for (int32_t oy = 0; oy < g->out_h; oy++) {
            for (int32_t ox = 0; ox < g->out_w; ox++) {
                mcg_add_window(g, x + group * inner, inner, oy, ox, error, count, gradient, patch);
                error += channels;
            }
        }
        for (int32_t r = 0; r < count; r++) {
            float *row = w + mcg_active_at(active, first + r) * taps;
            for (int32_t i = 0; i < taps; i++) {
                row[i] -= *rate * gradient[r * taps + i];
            }
        }
        first += count;
    }
}
