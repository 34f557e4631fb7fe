/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv2d_maxpool_grad_input_s8(const mcg_pooled_conv2d_t *g, const int8_t *e, const uint8_t *kept,
                                      const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                      const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                                      int32_t *peak, int8_t *band, int32_t room, uint32_t *scratch)
{
    mcg_conv2d_t conv = g->conv;
    mcg_pool2d_t pool = g->pool;
    const int32_t step = g->lines * pool.stride_h * conv.stride_h;
    const int32_t line = pool.out_w * pool.channels;
    const int32_t kept_line = mcg_pooled_kept(&pool, mcg_maxpool2d_bits(&pool));
    const int32_t reach = (conv.k_h - 1) * conv.dilation_h;
    int32_t highest = 0;
    for (int32_t row = 0; row < g->conv.in_h; row += step) {
        const int32_t rows = mcg_min(g->conv.in_h - row, step);
        /* Rows of the convolution's output that reach these, and the rows of windows that reach those. */
        const int32_t low = mcg_max(row + g->conv.pad_top - reach + conv.stride_h - 1, 0) / conv.stride_h;
        const int32_t high = mcg_min((row + rows - 1 + g->conv.pad_top) / conv.stride_h, g->conv.out_h - 1);
        const int32_t first = mcg_min(low / pool.stride_h, g->pool.out_h - 1);
        const int32_t last = mcg_min(high / pool.stride_h, g->pool.out_h - 1);
        int32_t most;
        pool.out_h = last + 1 - first;
        pool.in_h = mcg_max(high + 1, last * pool.stride_h + pool.k_h) - first * pool.stride_h;
        mcg_maxpool2d_grad_kept_s8(&pool, e + first * line, kept + first * kept_line, band);
        conv.out_h = high + 1 - low;
        conv.in_h = rows;
        conv.pad_top = g->conv.pad_top + row - low * conv.stride_h;
        mcg_conv2d_grad_input_s8(&conv, band + (low - first * pool.stride_h) * conv.out_w * conv.out_c, NULL,
                                 w, w_zero, x, scale, clip, e_x, &most, room, scratch);
        highest = mcg_max(highest, most);
        x += rows * conv.in_w * conv.in_c;
        e_x += rows * conv.in_w * conv.in_c;
    }
    *peak = highest;
}
