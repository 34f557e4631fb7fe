/* SPDX-License-Identifier: Apache-2.0 */
/* Maps made smaller or larger: largest values, averages, copies of pixels. */
#ifndef MCG_POOLS_H
#define MCG_POOLS_H

#include "mcg_layers.h"

/**
 * @brief Largest value of every window and channel; -128 where a window lies in the padding altogether.
 *
 * @param[in]  g geometry
 * @param[in]  x input, [in_h][in_w][channels]
 * @param[out] y output, [out_h][out_w][channels]; must not overlap x
 *
 * MACs: none. Scratch: none. Reference: ops/pooling/maxpool2d.py::maxpool2d_s8.
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
 * MACs: none. Scratch: none. Reference: ops/pooling/maxpool2d.py::maxpool2d_grad_input_s8.
 */
void mcg_maxpool2d_grad_input_s8(const mcg_pool2d_t *g, const int8_t *e, const int8_t *x, int8_t *e_x);

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
 * MACs: none. Scratch: none. Reference: ops/pooling/avgpool2d.py::avgpool2d_s8.
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
 * MACs: none. Scratch: none. Reference: ops/pooling/avgpool2d.py::avgpool2d_grad_input_s8.
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
 * MACs: none. Scratch: none. Reference: ops/pooling/avgpool2d.py::mean_s8.
 */
void mcg_mean_s8(int32_t outer, int32_t count, int32_t inner, int32_t x_zero, int32_t y_zero, const int8_t *x,
                 const float *scale, const int32_t *clip, int8_t *y, int32_t *peak);

/**
 * @brief Every pixel of a map factor_h * factor_w times.
 *
 * @param[in]  height   of x
 * @param[in]  width    of x
 * @param[in]  channels of both
 * @param[in]  factor_h copies of a row
 * @param[in]  factor_w copies of a column
 * @param[in]  x        map, [height][width][channels]
 * @param[out] y        map, [height * factor_h][width * factor_w][channels]
 *
 * MACs: none. Scratch: none. Reference: ops/movement/upsample2d.py::upsample2d_s8.
 */
void mcg_upsample2d_s8(int32_t height, int32_t width, int32_t channels, int32_t factor_h, int32_t factor_w,
                       const int8_t *x, int8_t *y);

/**
 * @brief e_x = rescale(sum of e over the copies of each pixel), masked by the activation function that made
 * x.
 *
 * @param[in]  height   of x
 * @param[in]  width    of x
 * @param[in]  channels of both
 * @param[in]  factor_h copies of a row
 * @param[in]  factor_w copies of a column
 * @param[in]  x_zero   zero point of x
 * @param[in]  e        error of the copies, [height * factor_h][width * factor_w][channels], in [-127, 127]
 * @param[in]  x        the input, [height][width][channels]
 * @param[in]  scale    accumulator to error, one for all
 * @param[in]  clip     bounds of the activation function that made x, relative to its zero point
 * @param[out] e_x      error of x, [height][width][channels], in [-127, 127]
 * @param[out] peak     largest magnitude of e_x before saturation
 *
 * MACs: none. Scratch: none. Reference: ops/movement/upsample2d.py::upsample2d_grad_input_s8.
 */
void mcg_upsample2d_grad_input_s8(int32_t height, int32_t width, int32_t channels, int32_t factor_h,
                                  int32_t factor_w, int32_t x_zero, const int8_t *e, const int8_t *x,
                                  const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak);

#endif /* MCG_POOLS_H */
