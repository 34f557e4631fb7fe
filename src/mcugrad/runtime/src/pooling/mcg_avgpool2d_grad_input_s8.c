/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Windows that may cover a coordinate: from the first to the last. A division per row or column, none per
 * tap. */
typedef struct {
    int32_t first, last;
} mcg_cover_t;

static inline mcg_cover_t mcg_cover(int32_t coordinate, int32_t reach, int32_t stride, int32_t outputs)
{
    const int32_t before = coordinate - reach;
    const mcg_cover_t found = {before <= 0 ? 0 : (before + stride - 1) / stride,
                               mcg_min(coordinate / stride, outputs - 1)};
    return found;
}

/* Whether a window that begins `distance` before a coordinate has a tap on it. */
static inline bool mcg_taps(int32_t distance, int32_t dilation)
{
    return dilation == 1 || distance % dilation == 0;
}

void mcg_avgpool2d_grad_input_s8(const mcg_pool2d_t *g, int32_t x_zero, const int8_t *e, const int8_t *x,
                                 const int32_t *weight_h, const int32_t *weight_w, const mcg_scale_t *scale,
                                 const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    mcg_scale_t factor[MCG_BLOCK];
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    mcg_fill_scale(factor, *scale);
    for (int32_t iy = g->pad_top; iy < g->pad_top + g->in_h; iy++) {
        const mcg_cover_t rows = mcg_cover(iy, (g->k_h - 1) * g->dilation_h, g->stride_h, g->out_h);
        for (int32_t ix = g->pad_left; ix < g->pad_left + g->in_w; ix++) {
            const mcg_cover_t columns = mcg_cover(ix, (g->k_w - 1) * g->dilation_w, g->stride_w, g->out_w);
            for (int32_t first = 0; first < g->channels; first += MCG_BLOCK) {
                const int32_t block = mcg_min(g->channels - first, MCG_BLOCK);
                for (int32_t c = 0; c < block; c++) {
                    acc[c] = 0;
                }
                for (int32_t oy = rows.first; oy <= rows.last; oy++) {
                    if (!mcg_taps(iy - oy * g->stride_h, g->dilation_h)) {
                        continue;
                    }
                    for (int32_t ox = columns.first; ox <= columns.last; ox++) {
                        if (mcg_taps(ix - ox * g->stride_w, g->dilation_w)) {
                            const int32_t weight = weight_h[oy] * weight_w[ox];
                            const int8_t *from = e + (oy * g->out_w + ox) * g->channels + first;
                            for (int32_t c = 0; c < block; c++) {
                                acc[c] += from[c] * weight;
                            }
                        }
                    }
                }
                highest =
                    mcg_max(highest, mcg_error_s8(acc, x + first, x_zero, factor, clip, block, e_x + first));
            }
            x += g->channels;
            e_x += g->channels;
        }
    }
    *peak = highest;
}
