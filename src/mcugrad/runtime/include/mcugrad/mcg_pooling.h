/* SPDX-License-Identifier: Apache-2.0 */
/* Largest values and averages of windows. */
#ifndef MCG_POOLING_H
#define MCG_POOLING_H

#include "mcg_core.h"

/**
 * @brief Largest value of every window and channel; -128 where a window lies in the padding altogether.
 *
 * @param[in]  g geometry
 * @param[in]  x input, [in_h][in_w][channels]
 * @param[out] y output, [out_h][out_w][channels]; may begin where x does if outputs come before what is still
 * read (ops/pooling/window.py::is_ahead), else must not overlap x
 *
 * MACs: none. Scratch: none. Reference: ops/pooling/maxpool2d_s8.py::maxpool2d_s8.
 */
void mcg_maxpool2d_s8(const mcg_pool2d_t *g, const int8_t *x, int8_t *y);

/**
 * @brief Adds each output's error to the input that won its window, in row order, saturating after each.
 *
 * @param[in]  g   geometry
 * @param[in]  e   error of the output, [out_h][out_w][channels]
 * @param[in]  x   the layer's input
 * @param[out] e_x error of the input, [in_h][in_w][channels], in [-127, 127]; must not overlap e
 *
 * MACs: none. Scratch: none. Reference: ops/pooling/maxpool2d_s8.py::maxpool2d_grad_input_s8.
 */
void mcg_maxpool2d_grad_input_s8(const mcg_pool2d_t *g, const int8_t *e, const int8_t *x, int8_t *e_x);

/** Bits that say which place of a window won: 1, 2, 4 or 8. */
static inline uint32_t mcg_maxpool2d_bits(const mcg_pool2d_t *g)
{
    const int32_t taps = g->k_h * g->k_w;
    return taps <= 2 ? 1U : taps <= 4 ? 2U : taps <= 16 ? 4U : 8U;
}

/**
 * @brief mcg_maxpool2d_s8, which keeps the place in its window of the first value that is as large as the
 * largest.
 *
 * @param[in]  g    geometry; at most 256 places in a window
 * @param[in]  x    input, [in_h][in_w][channels]
 * @param[out] y    output, [out_h][out_w][channels]; may begin where x does if outputs come before what is
 * still read (ops/pooling/window.py::is_ahead), else must not overlap x
 * @param[out] kept places, ky * k_w + kx, as many bits each as hold them, 1, 2, 4 or 8, from the lowest of a
 * byte on; 0 where a window lies in the padding altogether
 *
 * MACs: none. Scratch: none. Reference: ops/pooling/maxpool2d_kept_s8.py::maxpool2d_keep_s8.
 */
void mcg_maxpool2d_keep_s8(const mcg_pool2d_t *g, const int8_t *x, int8_t *y, uint8_t *kept);

/**
 * @brief Gives each output's error to the input that won its window, where no input is in two windows.
 *
 * @param[in]  g    geometry
 * @param[in]  e    error of the output, [out_h][out_w][channels], in [-127, 127]
 * @param[in]  kept places of those that won, as mcg_maxpool2d_keep_s8 keeps them
 * @param[out] e_x  error of the input, [in_h][in_w][channels]; may begin before e, by so much that a row of
 * windows ends before its errors
 *
 * MACs: none. Scratch: none. Reference: ops/pooling/maxpool2d_kept_s8.py::maxpool2d_grad_kept_s8.
 */
void mcg_maxpool2d_grad_kept_s8(const mcg_pool2d_t *g, const int8_t *e, const uint8_t *kept, int8_t *e_x);

/**
 * @brief Index of the largest value of one window and channel, the first one in row order.
 *
 * @param[in] g       geometry
 * @param[in] x       input, [in_h][in_w][channels]
 * @param[in] out_y   row of the output
 * @param[in] out_x   column of the output
 * @param[in] channel channel
 * @return index into x, or -1 where the window lies in the padding altogether
 */
int32_t mcg_maxpool2d_winner(const mcg_pool2d_t *g, const int8_t *x, int32_t out_y, int32_t out_x,
                             int32_t channel);

/** Taps of a window that lie inside the map; rows or columns are 0, or below, where none do. */
typedef struct {
    int32_t first; /* offset of the first one */
    int32_t rows, columns;
    int32_t row_step, column_step; /* bytes from tap to tap */
} mcg_pool_taps_t;

/** Along one axis: the first tap that is not before the map, and how many are not behind it. */
static inline int32_t mcg_maxpool2d_axis(int32_t at, int32_t size, int32_t kernel, int32_t dilation,
                                         int32_t *count)
{
    int32_t first = 0;
    while (first < kernel && at + first * dilation < 0) {
        first++;
    }
    *count = kernel - first;
    while (*count > 0 && at + (first + *count - 1) * dilation >= size) {
        *count -= 1;
    }
    return at + first * dilation;
}

/** Taps of the window at output (y, x). */
static inline mcg_pool_taps_t mcg_maxpool2d_taps(const mcg_pool2d_t *g, int32_t y, int32_t x)
{
    mcg_pool_taps_t t;
    const int32_t row =
        mcg_maxpool2d_axis(y * g->stride_h - g->pad_top, g->in_h, g->k_h, g->dilation_h, &t.rows);
    const int32_t column =
        mcg_maxpool2d_axis(x * g->stride_w - g->pad_left, g->in_w, g->k_w, g->dilation_w, &t.columns);
    t.first = t.rows > 0 && t.columns > 0 ? (row * g->in_w + column) * g->channels : 0;
    t.rows = t.columns > 0 ? t.rows : 0;
    t.row_step = g->dilation_h * g->in_w * g->channels;
    t.column_step = g->dilation_w * g->channels;
    return t;
}

/** The same, and the number of the first of them, ky * k_w + kx. */
static inline mcg_pool_taps_t mcg_maxpool2d_numbered(const mcg_pool2d_t *g, int32_t y, int32_t x,
                                                     int32_t *number)
{
    const mcg_pool_taps_t t = mcg_maxpool2d_taps(g, y, x);
    *number = 0;
    for (int32_t at = y * g->stride_h - g->pad_top, ky = 0; ky < g->k_h && at < 0; ky++) {
        *number += g->k_w;
        at += g->dilation_h;
    }
    for (int32_t at = x * g->stride_w - g->pad_left, kx = 0; kx < g->k_w && at < 0; kx++) {
        *number += 1;
        at += g->dilation_w;
    }
    return t;
}

/** Where numbers of taps are kept, some bits each. */
typedef struct {
    uint8_t *next;  /* byte */
    uint32_t bits;  /* of a number */
    uint32_t byte;  /* what it is to hold so far */
    uint32_t place; /* bits of that */
} mcg_pool_kept_t;

/** Keeps some bits, 32 at most, or 28 and less where a byte has begun. */
static inline void mcg_maxpool2d_keep_bits(mcg_pool_kept_t *to, uint32_t value, uint32_t bits)
{
    to->byte |= value << to->place;
    to->place += bits;
    while (to->place >= 8U) {
        *to->next++ = (uint8_t)to->byte;
        to->byte >>= 8;
        to->place -= 8U;
    }
}

/** Keeps what has begun. */
static inline void mcg_maxpool2d_keep_last(const mcg_pool_kept_t *to)
{
    if (to->place != 0U) {
        *to->next = (uint8_t)to->byte;
    }
}

/**
 * @brief Largest value of one window and channel, -128 where there are no taps; which tap it was is kept.
 *
 * @param[in]     g       geometry
 * @param[in]     t       taps inside the map
 * @param[in]     number  of the first of them
 * @param[in]     x       input, [in_h][in_w][channels]
 * @param[in]     channel channel
 * @param[in,out] to      where numbers are kept
 * @return the value
 */
int32_t mcg_maxpool2d_won(const mcg_pool2d_t *g, const mcg_pool_taps_t *t, int32_t number, const int8_t *x,
                          int32_t channel, mcg_pool_kept_t *to);

/** mcg_maxpool2d_grad_kept_s8, whatever the windows are. */
void mcg_maxpool2d_spread_kept(const mcg_pool2d_t *g, const int8_t *e, const uint8_t *kept, int8_t *e_x);

#if MCG_HAS_DSP
/** Whether all windows are 2x2 neighbours that are there, and channels are fours. */
static inline bool mcg_maxpool2d_is_plain(const mcg_pool2d_t *g)
{
    return g->k_h == 2 && g->k_w == 2 && g->pad_top == 0 && g->pad_left == 0 && g->dilation_h == 1 &&
           g->dilation_w == 1 && (g->out_h - 1) * g->stride_h + 2 <= g->in_h &&
           (g->out_w - 1) * g->stride_w + 2 <= g->in_w && (g->channels & 3) == 0;
}

/** The largest values of four channels; -128 where there is no tap. */
static inline uint32_t mcg_maxpool2d_four(const mcg_pool_taps_t *t, const int8_t *x)
{
    uint32_t most = 0x80808080U;
    for (int32_t ky = 0; ky < t->rows; ky++) {
        const int8_t *from = x + ky * t->row_step;
        for (int32_t kx = 0; kx < t->columns; kx++) {
            const uint32_t four = mcg_load32(from);
            most = mcg_select8(four, most, four, most);
            from += t->column_step;
        }
    }
    return most;
}
#endif /* MCG_HAS_DSP */

/**
 * @brief Average of each window: y = clip(rescale(sum * weight_h[row] * weight_w[column])), per channel.
 *
 * @param[in]  g        geometry
 * @param[in]  grain    1; or 4: sums are four times as large, plus 1 if the sum of codes is above 0, else
 * minus 1
 * @param[in]  x_zero   zero point of x
 * @param[in]  y_zero   zero point of y
 * @param[in]  x        input, [in_h][in_w][channels]
 * @param[in]  weight_h integers in proportion to 1 / taps of each output row, [out_h]
 * @param[in]  weight_w the same for columns, [out_w]
 * @param[in]  scale    factor, accumulator to y, one for all
 * @param[in]  clip     bounds of the activation function, relative to y_zero
 * @param[out] y        output, [out_h][out_w][channels]
 * @param[out] peak     largest |y - y_zero| before saturation to int8
 *
 * MACs: none. Scratch: none. Reference: ops/pooling/avgpool2d_s8.py::avgpool2d_s8.
 */
void mcg_avgpool2d_s8(const mcg_pool2d_t *g, int32_t grain, int32_t x_zero, int32_t y_zero, const int8_t *x,
                      const int32_t *weight_h, const int32_t *weight_w, const float *scale,
                      const int32_t *clip, int8_t *y, int32_t *peak);

/**
 * @brief e_x = rescale(sum of e * weight over the windows that cover each pixel), masked by the activation
 * function that made x.
 *
 * @param[in]  g        geometry
 * @param[in]  x_zero   zero point of x
 * @param[in]  e        error of the output, [out_h][out_w][channels], in [-127, 127]
 * @param[in]  x        the input, [in_h][in_w][channels]
 * @param[in]  weight_h integers in proportion to 1 / taps of each output row, [out_h]
 * @param[in]  weight_w the same for columns, [out_w]
 * @param[in]  scale    accumulator to error, one for all
 * @param[in]  clip     bounds of the activation function that made x, relative to its zero point
 * @param[out] e_x      error of x, [in_h][in_w][channels], in [-127, 127]
 * @param[out] peak     largest magnitude of e_x before saturation
 *
 * MACs: none. Scratch: none. Reference: ops/pooling/avgpool2d_s8.py::avgpool2d_grad_input_s8.
 */
void mcg_avgpool2d_grad_input_s8(const mcg_pool2d_t *g, int32_t x_zero, const int8_t *e, const int8_t *x,
                                 const int32_t *weight_h, const int32_t *weight_w, const mcg_scale_t *scale,
                                 const int32_t *clip, int8_t *e_x, int32_t *peak);

/**
 * @brief Mean over the middle axis: y = clip(nearest(sum * scale + (-x_zero * count) * scale)), in float32.
 *
 * @param[in]  outer  size of what lies before the axis
 * @param[in]  count  size of the axis; 128 * count < 2^30
 * @param[in]  inner  size of what lies behind it
 * @param[in]  x_zero zero point of x
 * @param[in]  y_zero zero point of y
 * @param[in]  x      input, [outer][count][inner]
 * @param[in]  scale  factor, sum to y, one for all
 * @param[in]  clip   bounds of the activation function, relative to y_zero
 * @param[out] y      output, [outer][inner]
 * @param[out] peak   largest |y - y_zero| before saturation to int8
 *
 * MACs: none. Scratch: none. Reference: ops/pooling/avgpool2d_s8.py::mean_s8.
 */
void mcg_mean_s8(int32_t outer, int32_t count, int32_t inner, int32_t x_zero, int32_t y_zero, const int8_t *x,
                 const float *scale, const int32_t *clip, int8_t *y, int32_t *peak);

/**
 * @brief Index of the first largest input of a window and channel; -1 where it covers none.
 *
 * Reference: ops/pooling/maxpool2d_f32.py::winners.
 */
int32_t mcg_maxpool2d_winner_f32(const mcg_pool2d_t *g, const float *x, int32_t out_y, int32_t out_x,
                                 int32_t channel);

/**
 * @brief Largest value of each window and channel; 0 where a window lies in the padding altogether; y may
 * begin where x does as in mcg_maxpool2d_s8.
 *
 * Reference: ops/pooling/maxpool2d_f32.py::maxpool2d_f32.
 */
void mcg_maxpool2d_f32(const mcg_pool2d_t *g, const float *x, float *y);

/**
 * @brief Each error is added to the first winner of its window, in the order of the windows.
 *
 * Reference: ops/pooling/maxpool2d_f32.py::maxpool2d_grad_input_f32.
 */
void mcg_maxpool2d_grad_input_f32(const mcg_pool2d_t *g, const float *e, const float *x, float *e_x);

/**
 * @brief y = clip(sum of x over the window, row by row, * (share_h[row] * share_w[column])).
 *
 * Reference: ops/pooling/avgpool2d_f32.py::avgpool2d_f32.
 */
void mcg_avgpool2d_f32(const mcg_pool2d_t *g, const float *x, const float *share_h, const float *share_w,
                       const float *clip, float *y);

/**
 * @brief Each error, times share_h[row] * share_w[column], is added to all inputs of its window.
 *
 * Reference: ops/pooling/avgpool2d_f32.py::avgpool2d_grad_input_f32.
 */
void mcg_avgpool2d_grad_input_f32(const mcg_pool2d_t *g, const float *e, const float *share_h,
                                  const float *share_w, float *e_x);

#endif /* MCG_POOLING_H */
