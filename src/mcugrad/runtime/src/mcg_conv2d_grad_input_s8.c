/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

/* acc[c] += e * w[c] over every output channel with an error, for the taps of one output pixel. */
static void mcg_conv2d_spread(const mcg_conv2d_t *g, const int8_t *e, const int8_t *w, int32_t count, int32_t *acc)
{
    const int32_t row = g->k_h * g->k_w * g->in_c;
    for (int32_t o = 0; o < g->out_c; o++) {
        const int32_t error = e[o];
        if (error != 0) {
            for (int32_t c = 0; c < count; c++) {
                acc[c] += error * w[c];
            }
        }
        w += row;
    }
}

void mcg_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const int8_t *w, const int8_t *x,
                              const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t iy = 0; iy < g->in_h; iy++) {
        for (int32_t ix = 0; ix < g->in_w; ix++) {
            for (int32_t first = 0; first < g->in_c; first += MCG_BLOCK) {
                const int32_t count = mcg_min(g->in_c - first, MCG_BLOCK);
                for (int32_t c = 0; c < count; c++) {
                    acc[c] = 0;
                }
                for (int32_t ky = 0; ky < g->k_h; ky++) {
                    const int32_t y = iy + g->pad_top - ky * g->dilation_h;
                    if (y < 0 || y % g->stride_h != 0 || y / g->stride_h >= g->out_h) {
                        continue;
                    }
                    for (int32_t kx = 0; kx < g->k_w; kx++) {
                        const int32_t column = ix + g->pad_left - kx * g->dilation_w;
                        if (column < 0 || column % g->stride_w != 0 || column / g->stride_w >= g->out_w) {
                            continue;
                        }
                        mcg_conv2d_spread(g,
                                          e + (y / g->stride_h * g->out_w + column / g->stride_w) * g->out_c,
                                          w + (ky * g->k_w + kx) * g->in_c + first, count, acc);
                    }
                }
                highest = mcg_max(highest, mcg_error_s8(acc, x + first, g->x_zero, scale + first, clip, count,
                                                        e_x + first));
            }
            x += g->in_c;
            e_x += g->in_c;
        }
    }
    *peak = highest;
}
