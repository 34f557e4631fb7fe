/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

/* Position of the output that an input coordinate reaches through a tap, or -1. */
static int32_t mcg_conv2d_output(int32_t shifted, int32_t stride, int32_t size)
{
    if (shifted < 0 || shifted % stride != 0) {
        return -1;
    }
    shifted /= stride;
    return shifted < size ? shifted : -1;
}

void mcg_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const int8_t *w, const int8_t *x,
                              const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
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
                    const int32_t oy =
                        mcg_conv2d_output(iy + g->pad_top - ky * g->dilation_h, g->stride_h, g->out_h);
                    if (oy < 0) {
                        continue;
                    }
                    for (int32_t kx = 0; kx < g->k_w; kx++) {
                        const int32_t ox =
                            mcg_conv2d_output(ix + g->pad_left - kx * g->dilation_w, g->stride_w, g->out_w);
                        if (ox >= 0) {
                            mcg_spread_s8(e + (oy * g->out_w + ox) * g->out_c, g->out_c,
                                          w + (ky * g->k_w + kx) * g->in_c + first, taps, count, acc);
                        }
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
