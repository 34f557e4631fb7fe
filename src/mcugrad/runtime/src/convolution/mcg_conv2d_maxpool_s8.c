/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv2d_maxpool_s8(const mcg_pooled_conv2d_t *g, const int8_t *x, const int8_t *w,
                           const int32_t *w_zero, const int32_t *bias, const float *scale,
                           const int32_t *clip, int8_t *y, uint8_t *kept, int32_t *peak, int8_t *band,
                           int16_t *patch, int32_t room, uint32_t *scratch)
{
    mcg_conv2d_t conv = g->conv;
    mcg_pool2d_t pool = g->pool;
    const int32_t kept_line = mcg_pooled_kept(&pool, mcg_maxpool2d_bits(&pool));
    const int32_t step = g->lines * pool.stride_h;
    int32_t left = pool.out_h;
    int32_t highest = 0;
    for (int32_t row = 0; row < g->conv.out_h; row += step) {
        const int32_t rows = mcg_min(g->conv.out_h - row, step);
        const int32_t top = row * conv.stride_h - g->conv.pad_top;
        const int32_t end = top + (rows - 1) * conv.stride_h + (conv.k_h - 1) * conv.dilation_h + 1;
        const int32_t skipped = mcg_max(top, 0);
        int32_t most;
        conv.out_h = rows;
        conv.pad_top = skipped - top;
        conv.in_h = mcg_min(g->conv.in_h, end) - skipped;
        mcg_conv2d_s8(&conv, x + skipped * conv.in_w * conv.in_c, w, w_zero, bias, scale, clip, band, &most,
                      patch, room, scratch);
        highest = mcg_max(highest, most);
        pool.in_h = rows;
        pool.out_h = mcg_min(left, g->lines); /* none in rows behind the last window */
        left -= pool.out_h;
        if (kept == NULL) {
            mcg_maxpool2d_s8(&pool, band, y);
        } else {
            mcg_maxpool2d_keep_s8(&pool, band, y, kept);
            kept += pool.out_h * kept_line;
        }
        y += pool.out_h * pool.out_w * pool.channels;
    }
    *peak = highest;
}
