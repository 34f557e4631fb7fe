/* SPDX-License-Identifier: Apache-2.0 */
/* Activation functions: by table, and PReLU. Those that only clip are a part of the layer before. */
#ifndef MCG_ACTIVATION_H
#define MCG_ACTIVATION_H

#include "mcg_core.h"

/**
 * @brief Value and slope of a function at z: point[0] and point[1].
 *
 * @param[in] function which one, an mcg_function_t
 * @param[in] alpha, beta its parameters, where it has some
 *
 * Reference: ops/activation/curves.py::curve.
 */
void mcg_curve(int32_t function, float z, float alpha, float beta, float *point);

/**
 * @brief Table of an activation function: its value and slope at each of the 256 inputs, and y's scale.
 *
 * Nothing happens when the tables were made for this very scale of x already.
 *
 * @param[in]     g          function and zero points
 * @param[in]     parameters alpha and beta of the function, then the bounds of the activation function that
 * made x in real units, [4]; the slope is 0 on these bounds and beyond
 * @param[in]     x_scale    real units per step of x
 * @param[in,out] made_for   scale of x that the tables are for
 * @param[in,out] value      y at x = i - 128, [256]
 * @param[in,out] slope      dy/dx at x = i - 128 in 2^-14, [256], in [-32767, 32767]
 * @param[in,out] y_scale    real units per step of y: the largest value of the table just fits
 * @param[out]    real       scratch, [256]
 *
 * MACs: none. Scratch: real. Reference: ops/activation/activation_s8.py::prepare_table.
 */
void mcg_prepare_table(const mcg_activation_t *g, const float *parameters, const float *x_scale,
                       float *made_for, int8_t *value, int16_t *slope, float *y_scale, float *real);

/**
 * @brief y = value[x + 128].
 *
 * @param[in]  count number of elements
 * @param[in]  x     input, [count]
 * @param[in]  value table, [256]
 * @param[out] y     output, [count]; may be x
 *
 * MACs: none. Scratch: none. Reference: ops/activation/activation_s8.py::lookup_s8.
 */
void mcg_lookup_s8(int32_t count, const int8_t *x, const int8_t *value, int8_t *y);

/**
 * @brief Error of the input of a tabulated activation function: e_x = rescale(e * slope[x + 128]).
 *
 * @param[in]  count number of elements
 * @param[in]  e     error of the output, [count], in [-127, 127]
 * @param[in]  x     the input, [count]
 * @param[in]  slope table, [256]
 * @param[in]  scale product to error, one for all
 * @param[out] e_x   error of the input, [count], in [-127, 127]; may be e or x
 * @param[out] peak  largest magnitude of e_x before saturation
 *
 * MACs: count. Scratch: none. Reference: ops/activation/activation_s8.py::lookup_grad_s8.
 */
void mcg_lookup_grad_s8(int32_t count, const int8_t *e, const int8_t *x, const int16_t *slope,
                        const mcg_scale_t *scale, int8_t *e_x, int32_t *peak);

/**
 * @brief Factors of a PReLU: factor[0] = x_scale / y_scale, factor[1 + c] = slope[c] * x_scale / y_scale, all
 * in 2^-factor[1 + channels], which is chosen so that the largest fills 16 bits.
 *
 * @param[in]  channels number of slopes
 * @param[in]  x_scale  real units per step of x
 * @param[in]  y_scale  real units per step of y
 * @param[in]  slope    for negative x, [channels]
 * @param[out] factor   [channels + 2]
 *
 * MACs: none. Scratch: none. Reference: ops/activation/prelu_s8.py::prepare_prelu.
 */
void mcg_prepare_prelu(int32_t channels, const float *x_scale, const float *y_scale, const float *slope,
                       int32_t *factor);

/**
 * @brief y = x * (x < 0 ? slope : 1), per channel (innermost), rounded once.
 *
 * @param[in]  count    number of elements, a multiple of channels
 * @param[in]  channels number of slopes
 * @param[in]  x_zero   zero point of x
 * @param[in]  y_zero   zero point of y
 * @param[in]  x        input, [count]
 * @param[in]  factor   [channels + 2]: of mcg_prepare_prelu
 * @param[out] y        output, [count]; may be x
 * @param[out] peak     largest |output - y_zero| before saturation to int8
 *
 * MACs: count. Scratch: none. Reference: ops/activation/prelu_s8.py::prelu_s8.
 */
void mcg_prelu_s8(int32_t count, int32_t channels, int32_t x_zero, int32_t y_zero, const int8_t *x,
                  const int32_t *factor, int8_t *y, int32_t *peak);

/**
 * @brief Error of a PReLU's input: e_x = rescale(e * (x < 0 ? slope : 1)), masked.
 *
 * @param[in]  count    number of elements, a multiple of channels
 * @param[in]  channels number of slopes
 * @param[in]  x_zero   zero point of x
 * @param[in]  e        error of the output, [count], in [-127, 127]
 * @param[in]  x        the input, [count]
 * @param[in]  factor   [channels + 2]: of mcg_prepare_prelu with both scales 1
 * @param[in]  scale    product to error, one for all
 * @param[in]  clip     bounds of the activation function that made x, relative to x_zero
 * @param[out] e_x      error of the input, [count], in [-127, 127]; may be e or x
 * @param[out] peak     largest magnitude of e_x before saturation
 *
 * MACs: count. Scratch: none. Reference: ops/activation/prelu_s8.py::prelu_grad_s8.
 */
void mcg_prelu_grad_s8(int32_t count, int32_t channels, int32_t x_zero, const int8_t *e, const int8_t *x,
                       const int32_t *factor, const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                       int32_t *peak);

/**
 * @brief y = function(x); `parameters` are alpha and beta; y may be x.
 *
 * Reference: ops/activation/activation_f32.py::function_f32.
 */
void mcg_function_f32(int32_t count, int32_t function, const float *parameters, const float *x, float *y);

/**
 * @brief e_x = e * slope of the function at x; e_x may be e or x.
 *
 * Reference: ops/activation/activation_f32.py::function_grad_f32.
 */
void mcg_function_grad_f32(int32_t count, int32_t function, const float *parameters, const float *e,
                           const float *x, float *e_x);

/**
 * @brief y = x, times the slope of its channel where x is negative; slopes repeat every `channels` elements;
 * y may be x.
 *
 * Reference: ops/activation/prelu_f32.py::prelu_f32.
 */
void mcg_prelu_f32(int32_t count, int32_t channels, const float *x, const float *slope, float *y);

/**
 * @brief e_x = e, times the slope of its channel where x is negative; e_x may be e or x.
 *
 * Reference: ops/activation/prelu_f32.py::prelu_grad_f32.
 */
void mcg_prelu_grad_f32(int32_t count, int32_t channels, const float *e, const float *x, const float *slope,
                        float *e_x);

#endif /* MCG_ACTIVATION_H */
