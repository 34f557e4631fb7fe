/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Sum of one window over a block of channels; the number of its taps that lie inside the map. */
static inline int32_t mcg_avgpool2d_sum(const mcg_pool2d_t *g, const int8_t *x, int32_t out_y, int32_t out_x,
                                        int32_t block, int32_t *MCG_RESTRICT acc)
{
    const int32_t top = out_y * g->stride_h - g->pad_top;
    const int32_t left = out_x * g->stride_w - g->pad_left;
    int32_t taps = 0;
    for (int32_t c = 0; c < block; c++) {
        acc[c] = 0;
    }
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = top + ky * g->dilation_h;
        if (y < 0 || y >= g->in_h) {
            continue;
        }
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = left + kx * g->dilation_w;
            if (column >= 0 && column < g->in_w) {
                const int8_t *from = x + (y * g->in_w + column) * g->channels;
                for (int32_t c = 0; c < block; c++) {
                    acc[c] += from[c];
                }
                taps++;
            }
        }
    }
    return taps;
}

void mcg_avgpool2d_s8(const mcg_pool2d_t *g, int32_t grain, int32_t x_zero, int32_t y_zero, const int8_t *x,
                      const int32_t *weight_h, const int32_t *weight_w, const float *scale,
                      const int32_t *clip, int8_t *y, int32_t *peak)
{
    float factor[MCG_BLOCK];
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    mcg_fill_factor(factor, *scale);
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            const int32_t weight = weight_h[oy] * weight_w[ox];
            for (int32_t first = 0; first < g->channels; first += MCG_BLOCK) {
                const int32_t block = mcg_min(g->channels - first, MCG_BLOCK);
                const int32_t zeros = mcg_avgpool2d_sum(g, x + first, oy, ox, block, acc) * x_zero;
                for (int32_t c = 0; c < block; c++) {
                    const int32_t away = grain == 1 ? 0 : acc[c] > 0 ? 1 : -1;
                    acc[c] = ((acc[c] - zeros) * grain + away) * weight;
                }
                highest = mcg_max(highest, mcg_output_s8(acc, factor, clip, y_zero, block, y + first));
            }
            y += g->channels;
        }
    }
    *peak = highest;
}
