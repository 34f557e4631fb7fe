/* SPDX-License-Identifier: Apache-2.0 */
/* Where branches meet: sums, products, concatenations. */
#ifndef MCG_JOINING_H
#define MCG_JOINING_H

#include "mcg_core.h"

/**
 * @brief Factors of a sum of two activations: a_scale / y_scale and sign * b_scale / y_scale in 2^-factor[2].
 *
 * @param[in]  sign    1 for a + b, -1 for a - b
 * @param[in]  a_scale real units per step of a
 * @param[in]  b_scale real units per step of b
 * @param[in]  y_scale real units per step of y
 * @param[out] factor  [3]; the larger of the first two fills 16 bits
 *
 * MACs: none. Scratch: none. Reference: ops/joining/add_s8.py::prepare_add.
 */
void mcg_prepare_add(int32_t sign, const float *a_scale, const float *b_scale, const float *y_scale,
                     int32_t *factor);

/**
 * @brief y = clip(a * factor[0] + b * factor[1]), rounded once, half up.
 *
 * @param[in]  count  number of elements
 * @param[in]  a_zero zero point of a
 * @param[in]  b_zero zero point of b
 * @param[in]  y_zero zero point of y
 * @param[in]  a      [count]
 * @param[in]  b      [count]
 * @param[in]  factor [3]: of mcg_prepare_add
 * @param[in]  clip   bounds of the activation function, relative to y_zero
 * @param[out] y      sum, [count]; may be a or b
 * @param[out] peak   largest |y - y_zero| before saturation to int8
 *
 * MACs: 2 count. Scratch: none. Reference: ops/joining/add_s8.py::add_s8.
 */
void mcg_add_s8(int32_t count, int32_t a_zero, int32_t b_zero, int32_t y_zero, const int8_t *a,
                const int8_t *b, const int32_t *factor, const int32_t *clip, int8_t *y, int32_t *peak);

/**
 * @brief Factor from a product of two quantities to an output: a_scale * b_scale / y_scale.
 *
 * @param[in]  a_scale real units per step of one
 * @param[in]  b_scale real units per step of the other
 * @param[in]  y_scale real units per step of the output
 * @param[out] scale   the factor
 *
 * MACs: none. Scratch: none. Reference: ops/joining/mul_s8.py::prepare_product.
 */
void mcg_prepare_product(const float *a_scale, const float *b_scale, const float *y_scale, float *scale);

/**
 * @brief y = clip(a * b), element by element.
 *
 * @param[in]  count  elements of a, a multiple of period
 * @param[in]  period elements of b, which repeats
 * @param[in]  a_zero zero point of a
 * @param[in]  b_zero zero point of b
 * @param[in]  y_zero zero point of y
 * @param[in]  a      factor, [count]
 * @param[in]  b      factor, [period]
 * @param[in]  scale  factor, accumulator to y, one for all
 * @param[in]  clip   bounds of the activation function, relative to y_zero
 * @param[out] y      product, [count]; may be a
 * @param[out] peak   largest |y - y_zero| before saturation to int8
 *
 * MACs: count. Scratch: none. Reference: ops/joining/mul_s8.py::mul_s8.
 */
void mcg_mul_s8(int32_t count, int32_t period, int32_t a_zero, int32_t b_zero, int32_t y_zero,
                const int8_t *a, const int8_t *b, const float *scale, const int32_t *clip, int8_t *y,
                int32_t *peak);

/**
 * @brief Error of the first factor of a product: e_a = rescale(e * b), masked by the activation function that
 * made a.
 *
 * @param[in]  count    elements of a, a multiple of period
 * @param[in]  period   elements of b, which repeats
 * @param[in]  channels factors; they repeat
 * @param[in]  a_zero   zero point of a
 * @param[in]  b_zero   zero point of b
 * @param[in]  e        error of the product, [count], in [-127, 127]
 * @param[in]  b        the other factor, [period]
 * @param[in]  a        the factor that the error goes to, [count]
 * @param[in]  scale    product to error, [channels]
 * @param[in]  clip     bounds of the activation function that made a, relative to its zero point
 * @param[out] e_a      error of a, [count], in [-127, 127]; may be e
 * @param[out] peak     largest magnitude of e_a before saturation
 *
 * MACs: count. Scratch: none. Reference: ops/joining/mul_s8.py::mul_grad_a_s8.
 */
void mcg_mul_grad_a_s8(int32_t count, int32_t period, int32_t channels, int32_t a_zero, int32_t b_zero,
                       const int8_t *e, const int8_t *b, const int8_t *a, const mcg_scale_t *scale,
                       const int32_t *clip, int8_t *e_a, int32_t *peak);

/**
 * @brief Error of the second factor of a product: e_b = rescale(sum of e * a over what it multiplies),
 * masked.
 *
 * @param[in]  count    elements of a, a multiple of period
 * @param[in]  period   elements of b, which repeats
 * @param[in]  channels factors; they repeat
 * @param[in]  a_zero   zero point of a
 * @param[in]  b_zero   zero point of b
 * @param[in]  e        error of the product, [count], in [-127, 127]
 * @param[in]  a        the other factor, [count]
 * @param[in]  b        the factor that the error goes to, [period]
 * @param[in]  scale    product to error, [channels]
 * @param[in]  clip     bounds of the activation function that made b, relative to its zero point
 * @param[out] e_b      error of b, [period], in [-127, 127]
 * @param[out] peak     largest magnitude of e_b before saturation
 *
 * MACs: count. Scratch: none. Reference: ops/joining/mul_s8.py::mul_grad_b_s8.
 */
void mcg_mul_grad_b_s8(int32_t count, int32_t period, int32_t channels, int32_t a_zero, int32_t b_zero,
                       const int8_t *e, const int8_t *a, const int8_t *b, const mcg_scale_t *scale,
                       const int32_t *clip, int8_t *e_b, int32_t *peak);

/**
 * @brief One part of a concatenation: y[r][offset + i] = clip(rescale(x[r][i])).
 *
 * @param[in]  rows   rows of both
 * @param[in]  count  elements of a row of x
 * @param[in]  pitch  elements of a row of y
 * @param[in]  offset where the part begins in a row of y; 0 for the first part
 * @param[in]  x_zero zero point of x
 * @param[in]  y_zero zero point of y
 * @param[in]  x      the part, [rows][count]
 * @param[in]  scale  factor, x to y, one for all
 * @param[in]  clip   bounds of the activation function, relative to y_zero
 * @param[out] y      the whole, [rows][pitch]
 * @param[in,out] peak   largest |y - y_zero| before saturation, of all parts so far; offset 0 starts anew
 *
 * MACs: none. Scratch: none. Reference: ops/joining/concat_s8.py::concat_s8.
 */
void mcg_concat_s8(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t x_zero, int32_t y_zero,
                   const int8_t *x, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak);

/**
 * @brief y[r, offset + i] = clip(x[r, i]): rows of `count` elements put into rows of `pitch`.
 *
 * Reference: ops/joining/concat_f32.py::concat_f32.
 */
void mcg_concat_f32(int32_t rows, int32_t count, int32_t pitch, int32_t offset, const float *x,
                    const float *clip, float *y);

/**
 * @brief y = clip(a * b); b repeats every `period` elements; y may be a.
 *
 * MACs: count. Reference: ops/joining/mul_f32.py::mul_f32.
 */
void mcg_mul_f32(int32_t count, int32_t period, const float *a, const float *b, const float *clip, float *y);

/**
 * @brief e_b = sum of e * a over the repetitions of b, first to last.
 *
 * MACs: count. Reference: ops/joining/mul_f32.py::mul_grad_b_f32.
 */
void mcg_mul_grad_b_f32(int32_t count, int32_t period, const float *e, const float *a, float *e_b);

#endif /* MCG_JOINING_H */
