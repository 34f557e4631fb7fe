/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Taps of a window that lie inside the map: they are neighbours. */
typedef struct {
    int32_t first, count;
} mcg_pool_inside_t;

static inline mcg_pool_inside_t mcg_pool_inside(int32_t start, int32_t taps, int32_t apart, int32_t size)
{
    const int32_t first = start >= 0 ? 0 : (apart - 1 - start) / apart;
    const int32_t end = start >= size ? 0 : mcg_min(taps, (size - 1 - start) / apart + 1);
    const mcg_pool_inside_t found = {start + first * apart, end - first};
    const mcg_pool_inside_t none = {0, 0};
    return first < end ? found : none;
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
        const mcg_pool_inside_t v =
            mcg_pool_inside(oy * g->stride_h - g->pad_top, g->k_h, g->dilation_h, g->in_h);
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            const mcg_pool_inside_t u =
                mcg_pool_inside(ox * g->stride_w - g->pad_left, g->k_w, g->dilation_w, g->in_w);
            const int32_t weight = weight_h[oy] * weight_w[ox];
            const int32_t zeros = v.count * u.count * x_zero;
            for (int32_t first = 0; first < g->channels; first += MCG_BLOCK) {
                const int32_t block = mcg_min(g->channels - first, MCG_BLOCK);
                mcg_pixels_sums(x + (v.first * g->in_w + u.first) * g->channels + first, v.count,
                                g->dilation_h * g->in_w * g->channels, u.count, g->dilation_w * g->channels,
                                block, acc);
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
