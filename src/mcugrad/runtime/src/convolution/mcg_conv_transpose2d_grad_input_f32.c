/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Collects the errors that one input pixel reaches, [out][k_h][k_w], 0 outside the output. */
static void mcg_collect_errors(const mcg_conv2d_t *g, int32_t channels, const float *e, int32_t in_y,
                               int32_t in_x, float *errors)
{
    const int32_t taps = g->k_h * g->k_w;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t row = in_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = in_x * g->stride_w - g->pad_left + kx * g->dilation_w;
            const bool inside = row >= 0 && row < g->out_h && column >= 0 && column < g->out_w;
            const int32_t at = (row * g->out_w + column) * channels;
            for (int32_t o = 0; o < channels; o++) {
                errors[o * taps + ky * g->k_w + kx] = inside ? e[at + o] : 0.0F;
            }
        }
    }
}

void mcg_conv_transpose2d_grad_input_f32(const mcg_conv2d_t *g, const float *e, const uint16_t *active,
                                         const float *w, float *e_x, float *patch)
{
    const int32_t taps = g->k_h * g->k_w;
    const int32_t channels = mcg_active_count(active, g->out_c);
    for (int32_t iy = 0; iy < g->in_h; iy++) {
        for (int32_t ix = 0; ix < g->in_w; ix++) {
            mcg_collect_errors(g, channels, e, iy, ix, patch);
            for (int32_t i = 0; i < g->in_c; i++) {
                e_x[i] = 0.0F;
            }
            for (int32_t k = 0; k < channels; k++) {
                const float *row = w + mcg_active_at(active, k) * taps * g->in_c;
                for (int32_t tap = 0; tap < taps; tap++) {
                    if (patch[k * taps + tap] != 0.0F) {
                        mcg_add_scaled_f32(g->in_c, patch + k * taps + tap, row + tap * g->in_c, e_x);
                    }
                }
            }
            e_x += g->in_c;
        }
    }
}
