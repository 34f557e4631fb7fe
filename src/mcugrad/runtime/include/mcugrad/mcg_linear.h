/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layers: forward, the error of the input, the update of the weights in place. */
#ifndef MCG_LINEAR_H
#define MCG_LINEAR_H

#include "mcg_core.h"

/**
 * @brief y = clip(rescale(w (x - x_zero) + bias)) + y_zero, for every output.
 *
 * @param[in]  g     sizes and zero points
 * @param[in]  x     input, [inputs]
 * @param[in]  w     weights, [out][inputs]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  bias  [out], in accumulator units, within +-2^29
 * @param[in]  scale factors, accumulator to output, [out]
 * @param[in]  clip  lower and upper bound of the activation function, relative to y_zero
 * @param[out] y     output, [out]; must not overlap x
 * @param[out] peak  largest |output - y_zero| after clipping, before saturation to int8
 * @param[in]  room  bytes of scratch; 0 for none
 * @param[out] scratch memory that makes it faster, with no meaning afterwards
 *
 * MACs: inputs*out. Stack: 2 * MCG_BLOCK words. Scratch: inputs/4 * 8 bytes, or none. Reference:
 * ops/linear/linear_s8.py::linear_s8.
 */
void mcg_linear_s8(const mcg_linear_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                   const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                   int32_t room, uint32_t *scratch);

/**
 * @brief Error of a fully connected layer's input: w^T e, masked and rescaled.
 *
 * @param[in]  g      sizes; factors repeat every in_c inputs
 * @param[in]  e      error of the output, [out], in [-127, 127]
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 * @param[in]  w      weights, [out][inputs]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  x      the layer's input: where it is on a bound of clip, or beyond, the error is 0
 * @param[in]  scale  accumulator to error, [in_c]
 * @param[in]  clip   bounds of the activation function that made x, relative to x_zero
 * @param[out] e_x    error of the input, [inputs], in [-127, 127]; must not overlap e
 * @param[out] peak   largest magnitude of e_x before saturation
 *
 * MACs: inputs*out, without rows of zero errors. Stack: MCG_BLOCK words and mcg_spread_s8. Reference:
 * ops/linear/linear_s8.py::linear_grad_input_s8.
 */
void mcg_linear_grad_input_s8(const mcg_linear_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                              const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                              const int32_t *clip, int8_t *e_x, int32_t *peak);

/**
 * @brief w -= factor * (e (x - x_zero)^T), by the update rule; rows without an error are skipped.
 *
 * @param[in]     g        sizes; x_zero is the zero point of x
 * @param[in]     x        the layer's input, [inputs]
 * @param[in]     e        error of its output, [out]
 * @param[in]     active   channels that take part: e holds these alone; NULL for all
 * @param[in]     factor   gradient to 1/65536 weight steps, [out]
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the random numbers
 * @param[in]     step     number of the training step
 * @param[in]     tensor   16 times the number of the layer, for random numbers
 * @param[in,out] w        weights, [out][inputs]
 * @param[in,out] residual the rule's residual bits, one row per output, or NULL
 * @param[in,out] w_scale  [out]; grows where a weight saturated
 *
 * MACs: inputs * outputs with an error. Stack: MCG_BLOCK words, the rule. Reference:
 * ops/linear/linear_s8.py::linear_update.
 */
void mcg_linear_update(const mcg_linear_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int8_t *w, uint8_t *residual, float *w_scale);

/**
 * @brief y = clip(w x + bias), weights [out][inputs].
 *
 * MACs: inputs*out. Reference: ops/linear/linear_f32.py::linear_f32.
 */
void mcg_linear_f32(int32_t inputs, int32_t out, const float *x, const float *w, const float *bias,
                    const float *clip, float *y);

/**
 * @brief e_x = sum over outputs of e[o] w[o], first output first; those whose e is 0 are skipped.
 *
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 *
 * MACs: inputs*out. Reference: ops/linear/linear_f32.py::linear_grad_input_f32.
 */
void mcg_linear_grad_input_f32(int32_t inputs, int32_t out, const float *e, const uint16_t *active,
                               const float *w, float *e_x);

/**
 * @brief w[o, i] -= rate * (e[o] x[i]); rows whose e is 0 are skipped.
 *
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 *
 * MACs: inputs*out. Reference: ops/linear/linear_f32.py::linear_update_f32.
 */
void mcg_linear_update_f32(int32_t inputs, int32_t out, const float *x, const float *e,
                           const uint16_t *active, const float *rate, float *w);

#endif /* MCG_LINEAR_H */
