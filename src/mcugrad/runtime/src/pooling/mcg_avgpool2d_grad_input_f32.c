/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

static void mcg_spread_error(const mcg_pool2d_t *g, const float *e, float share, int32_t out_y, int32_t out_x,
                             float *e_x)
{
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = out_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = out_x * g->stride_w - g->pad_left + kx * g->dilation_w;
            if (y >= 0 && y < g->in_h && column >= 0 && column < g->in_w) {
                float *to = e_x + (y * g->in_w + column) * g->channels;
                for (int32_t c = 0; c < g->channels; c++) {
                    to[c] += e[c] * share;
                }
            }
        }
    }
}

void mcg_avgpool2d_grad_input_f32(const mcg_pool2d_t *g, const float *e, const float *share_h,
                                  const float *share_w, float *e_x)
{
    for (int32_t i = 0; i < g->in_h * g->in_w * g->channels; i++) {
        e_x[i] = 0.0F;
    }
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            mcg_spread_error(g, e, share_h[oy] * share_w[ox], oy, ox, e_x);
            e += g->channels;
        }
    }
}
