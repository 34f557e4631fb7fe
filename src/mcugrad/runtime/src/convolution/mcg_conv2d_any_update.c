/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv2d_any_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                           const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                           const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                           float *w_scale, int32_t *gradient, int16_t *patch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const int32_t out_c = mcg_active_count(active, g->out_c);
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    for (int32_t first = 0; first < out_c; first += rows) {
        const int32_t count = mcg_min(out_c - first, rows);
        const int8_t *pixel = e + first;
        for (int32_t i = 0; i < count * taps; i++) {
            gradient[i] = 0;
        }
        for (int32_t oy = 0; oy < g->out_h; oy++) {
            for (int32_t ox = 0; ox < g->out_w; ox++) {
                int32_t any = 0;
                for (int32_t o = 0; o < count; o++) {
                    any |= pixel[o];
                }
                if (any != 0) {
                    mcg_patch_s8(g, x, oy, ox, patch);
                    mcg_add_outer_s16(pixel, count, patch, taps, taps, gradient);
                }
                pixel += out_c;
            }
        }
        for (int32_t o = 0; o < count; o++) {
            mcg_update_row(rule, gradient + o * taps, taps, mcg_active_at(active, first + o), factor, stream,
                           w, residual, w_scale);
        }
    }
}
