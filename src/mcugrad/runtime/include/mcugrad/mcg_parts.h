/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts that kernels are made of: windows, sums of products, outputs and errors from accumulators. Sums serve
 * zero points of weights: w (x - x_zero) = q (x - x_zero) - w_zero * (the sum of x - x_zero).
 */
#ifndef MCG_PARTS_H
#define MCG_PARTS_H

#include "mcg_layers.h"

/**
 * @brief One window of the input, less its zero point; 0 where there is padding.
 *
 * @param[in]  g     geometry
 * @param[in]  x     input, [in_h][in_w][in_c]
 * @param[in]  out_y row of the output
 * @param[in]  out_x column of the output
 * @param[out] patch [k_h][k_w][in_c], in [-255, 255]
 */
void mcg_patch_s8(const mcg_conv2d_t *g, const int8_t *x, int32_t out_y, int32_t out_x, int16_t *patch);

/**
 * @brief One window of a group's input channels, less the zero point; 0 where there is padding.
 *
 * @param[in]  g        geometry and zero points
 * @param[in]  x        input, from the first channel of the group on
 * @param[in]  channels input channels of a group
 * @param[in]  out_y    row of the output
 * @param[in]  out_x    column of the output
 * @param[out] patch    [k_h][k_w][channels]
 */
void mcg_grouped_patch_s8(const mcg_conv2d_t *g, const int8_t *x, int32_t channels, int32_t out_y,
                          int32_t out_x, int16_t *patch);

/**
 * @brief acc[o] += sum of w[o * pitch + k] * x[k] over k below count.
 *
 * @param[in]     x     [count], in [-255, 255]
 * @param[in]     w     first element of the first row
 * @param[in]     pitch elements from row to row
 * @param[in]     rows  number of rows
 * @param[in]     count elements of a row that take part
 * @param[in,out] acc   [rows]
 */
void mcg_dot_s8(const int16_t *x, const int8_t *w, int32_t pitch, int32_t rows, int32_t count, int32_t *acc);

/**
 * @brief acc[i] += sum of e[o] * w[o * pitch + i] over o, for i below count; rows with e[o] = 0 are not read.
 *
 * @param[in]     e        [channels], in [-127, 127]
 * @param[in]     channels number of rows
 * @param[in]     active   e[o] belongs to the row active[1 + o]; NULL: to row o
 * @param[in]     w        first element of the first row, in [-127, 127]
 * @param[in]     pitch    elements from row to row
 * @param[in]     count    elements of a row that take part
 * @param[in,out] acc      [count]
 *
 * Stack: MCG_BLOCK + 4 pointers and bytes.
 */
void mcg_spread_s8(const int8_t *e, int32_t channels, const uint16_t *active, const int8_t *w, int32_t pitch,
                   int32_t count, int32_t *acc);

/**
 * @brief gradient[o][i] += e[o] * patch[i], for o below rows and i below count.
 *
 * @param[in]     e        one error per row
 * @param[in]     rows     number of rows
 * @param[in]     patch    input less its zero point
 * @param[in]     count    number of values
 * @param[in]     pitch    distance between rows of gradient
 * @param[in,out] gradient accumulators
 */
void mcg_add_outer_s16(const int8_t *e, int32_t rows, const int16_t *patch, int32_t count, int32_t pitch,
                       int32_t *gradient);

/**
 * @brief acc[i] += a[0][i] * b[0][i] + a[1][i] * b[1][i] + ..., for i below count.
 *
 * @param[in]     p     rows a and b, and how many of them there are
 * @param[in]     count values in a row
 * @param[in,out] acc   accumulators
 */
void mcg_add_products_s8(const mcg_products_t *p, int32_t count, int32_t *acc);

/**
 * @brief Weights of neighbouring channels side by side, as maps have them: packed[k][i] = w[i * pitch + k].
 *
 * @param[in]  w      weights of the first channel
 * @param[in]  taps   weights of a channel
 * @param[in]  pitch  distance between channels
 * @param[in]  count  number of channels
 * @param[out] packed [taps][count]
 */
void mcg_depthwise_pack_s8(const int8_t *w, int32_t taps, int32_t pitch, int32_t count, int8_t *packed);

/**
 * @brief What output channels read at one place: row[i] = x[(first + i) / multiplier].
 *
 * @param[in]  x          input channels of the place
 * @param[in]  first      first output channel
 * @param[in]  multiplier output channels per input channel
 * @param[in]  count      number of output channels
 * @param[out] row        [count]
 */
void mcg_depthwise_repeat_s8(const int8_t *x, int32_t first, int32_t multiplier, int32_t count, int8_t *row);

/** The sum of `count` values, from their zero point. */
int32_t mcg_sum_s8(const int8_t *x, int32_t zero, int32_t count);

/** The sum of what a window at output (y, x) reads: rows y * stride_h - pad_top + ky * dilation_h of the map,
 * and columns likewise, that exist. */
int32_t mcg_window_sum_s8(const mcg_conv2d_t *g, const mcg_map_t *map, int32_t y, int32_t x);

/** The sum over all windows that reach (y, x), of what the map holds for each. */
int32_t mcg_reach_sum_s8(const mcg_conv2d_t *g, const mcg_map_t *map, int32_t y, int32_t x);

/**
 * @brief Accumulators of neighbouring channels to int8 outputs.
 *
 * @param[in]  acc   [count], below 2^30 in magnitude
 * @param[in]  scale factors, [count]
 * @param[in]  clip  bounds, relative to zero
 * @param[in]  zero  zero point of the output
 * @param[in]  count number of channels
 * @param[out] y     [count]
 * @return largest magnitude after clipping, before saturation
 */
int32_t mcg_output_s8(const int32_t *acc, const float *scale, const int32_t *clip, int32_t zero,
                      int32_t count, int8_t *y);

/**
 * @brief Accumulators of neighbouring channels to errors, 0 where the activation function is flat.
 *
 * @param[in]  acc    [count], below 2^30 in magnitude
 * @param[in]  x      activations that the errors belong to, [count]
 * @param[in]  x_zero zero point of x
 * @param[in]  scale  [count]
 * @param[in]  clip   bounds of the activation function, relative to x_zero; an x on a bound is flat
 * @param[in]  count  number of channels
 * @param[out] e      [count], in [-127, 127]
 * @return largest magnitude before saturation
 */
int32_t mcg_error_s8(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                     const int32_t *clip, int32_t count, int8_t *e);

/**
 * @brief As mcg_error_s8, for elements whose factors repeat.
 *
 * @param[in]  acc      accumulators, [count]
 * @param[in]  x        activation that the error goes to, [count]
 * @param[in]  x_zero   zero point of x
 * @param[in]  scale    accumulator to error, [channels]
 * @param[in]  channels factors
 * @param[in]  at       index of the first element in its tensor
 * @param[in]  clip     bounds of the activation function that made x, relative to its zero point
 * @param[in]  count    number of elements
 * @param[out] e        error, [count], in [-127, 127]
 * @return largest magnitude of the error before saturation
 *
 * MACs: none. Scratch: none. Reference: ops/core/weighted.py::write_error.
 */
int32_t mcg_error_channels_s8(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                              int32_t channels, int32_t at, const int32_t *clip, int32_t count, int8_t *e);

/**
 * @brief Random numbers: four from each 32-bit word, the low and high half of it and of it turned by 8 bits.
 *
 * @param[in]  counter of the first word
 * @param[in]  count   numbers wanted
 * @param[out] random  [count rounded up to a multiple of 4]
 */
void mcg_random_u16(uint32_t counter, int32_t count, uint16_t *random);

#endif /* MCG_PARTS_H */
