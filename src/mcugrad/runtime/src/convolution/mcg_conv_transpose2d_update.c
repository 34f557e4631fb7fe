/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Adds the gradients that one input pixel gives to the weights of `count` output channels. */
static void mcg_conv_transpose2d_gather(const mcg_conv2d_t *g, const int8_t *e, int32_t out_c, int32_t count,
                                        int32_t top, int32_t left, const int16_t *patch, int32_t *gradient)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t row = top + ky * g->dilation_h;
        int32_t column = left;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            if (row >= 0 && row < g->out_h && column >= 0 && column < g->out_w) {
                const int8_t *pixel = e + (row * g->out_w + column) * out_c;
                int32_t any = 0;
                for (int32_t o = 0; o < count; o++) {
                    any |= pixel[o];
                }
                if (any != 0) {
                    mcg_add_outer_s16(pixel, count, patch, g->in_c, taps, gradient);
                }
            }
            column += g->dilation_w;
            gradient += g->in_c;
        }
    }
}

void mcg_conv_transpose2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e,
                                 const uint16_t *active, const mcg_scale_t *factor, const mcg_rule_t *rule,
                                 const uint32_t *seed, const uint32_t *step, uint32_t tensor, int32_t rows,
                                 int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                                 int16_t *patch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const int32_t out_c = mcg_active_count(active, g->out_c);
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    for (int32_t first = 0; first < out_c; first += rows) {
        const int32_t count = mcg_min(out_c - first, rows);
        const int8_t *from = x;
        for (int32_t i = 0; i < count * taps; i++) {
            gradient[i] = 0;
        }
        for (int32_t iy = 0; iy < g->in_h; iy++) {
            for (int32_t ix = 0; ix < g->in_w; ix++) {
                for (int32_t i = 0; i < g->in_c; i++) {
                    patch[i] = (int16_t)(*from++ - g->x_zero);
                }
                mcg_conv_transpose2d_gather(g, e + first, out_c, count, iy * g->stride_h - g->pad_top,
                                            ix * g->stride_w - g->pad_left, patch, gradient);
            }
        }
        for (int32_t o = 0; o < count; o++) {
            mcg_update_row(rule, gradient + o * taps, taps, mcg_active_at(active, first + o), factor, stream,
                           w, residual, w_scale);
        }
    }
}
