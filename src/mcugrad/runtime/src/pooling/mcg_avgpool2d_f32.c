/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

static void mcg_window_sum(const mcg_pool2d_t *g, const float *x, int32_t out_y, int32_t out_x, float *sum)
{
    for (int32_t c = 0; c < g->channels; c++) {
        sum[c] = 0.0F;
    }
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = out_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = out_x * g->stride_w - g->pad_left + kx * g->dilation_w;
            if (y >= 0 && y < g->in_h && column >= 0 && column < g->in_w) {
                const float *from = x + (y * g->in_w + column) * g->channels;
                for (int32_t c = 0; c < g->channels; c++) {
                    sum[c] += from[c];
                }
            }
        }
    }
}

void mcg_avgpool2d_f32(const mcg_pool2d_t *g, const float *x, const float *share_h, const float *share_w,
                       const float *clip, float *y)
{
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            const float share = share_h[oy] * share_w[ox];
            mcg_window_sum(g, x, oy, ox, y);
            for (int32_t c = 0; c < g->channels; c++) {
                y[c] = mcg_clip_real(y[c] * share, clip);
            }
            y += g->channels;
        }
    }
}
