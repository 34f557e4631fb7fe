/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions in float32. */
#ifndef MCG_CONVOLUTION_F32_H
#define MCG_CONVOLUTION_F32_H

#include "mcg_core.h"

/**
 * @brief y = clip(w x + bias) for every window and output channel, from the channels of its group.
 *
 * @param[in]  g      geometry
 * @param[in]  groups of channels; 1 for a plain convolution
 * @param[in]  x      input, [in_h][in_w][in_c]
 * @param[in]  w      weights, [out_c][k_h][k_w][in_c / groups]
 * @param[in]  bias   [out_c]
 * @param[in]  clip   lower and upper bound of the activation function
 * @param[out] y      output, [out_h][out_w][out_c]; must not overlap x
 * @param[out] patch  scratch, [k_h * k_w * in_c / groups]
 *
 * MACs: out_h*out_w*out_c*k_h*k_w*in_c/groups. Reference: ops/convolution/convolution_f32.py::conv2d_f32.
 */
void mcg_conv2d_f32(const mcg_conv2d_t *g, int32_t groups, const float *x, const float *w, const float *bias,
                    const float *clip, float *y, float *patch);

/**
 * @brief Error of a convolution's input. Every window adds the sum of w[o] e[o] over the outputs of a group.
 *
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 *
 * Windows whose errors are all 0 are skipped. MACs as forward. Scratch as forward.
 * Reference: ops/convolution/convolution_f32.py::conv2d_grad_input_f32.
 */
void mcg_conv2d_grad_input_f32(const mcg_conv2d_t *g, int32_t groups, const float *e, const uint16_t *active,
                               const float *w, float *e_x, float *patch);

/**
 * @brief w[o] -= rate * sum over windows of e[o] x, first window first; windows whose e[o] is 0 are skipped.
 *
 * @param[in]     active   channels that take part: e holds these alone; NULL for all
 * @param[in]     rows     output channels whose gradients are gathered at a time
 * @param[in,out] w        weights
 * @param[out]    gradient scratch, [rows][k_h * k_w * in_c / groups]
 * @param[out]    patch    scratch, [k_h * k_w * in_c / groups]
 *
 * MACs as forward. Reference: ops/convolution/convolution_f32.py::conv2d_update_f32.
 */
void mcg_conv2d_update_f32(const mcg_conv2d_t *g, int32_t groups, const float *x, const float *e,
                           const uint16_t *active, const float *rate, int32_t rows, float *w, float *gradient,
                           float *patch);

/**
 * @brief Lay the weights of `count` channels side by side: packed[tap, c] = w[c, tap].
 *
 * @param[in] active channels, from active[1] on; NULL for the first ones
 *
 * Reference: ops/convolution/depthwise_conv2d_f32.py, which transposes.
 */
void mcg_depthwise_pack_f32(const float *w, const uint16_t *active, int32_t taps, int32_t count,
                            float *packed);

/**
 * @brief Depthwise convolution with one output per channel: y = clip(sum over taps, one after the other, +
 * bias); y may begin before x, by so many pixels that a row of outputs ends before all that its windows
 * and later ones begin with.
 *
 * @param[in]  g      geometry; in_c = out_c
 * @param[in]  block  channels handled at a time
 * @param[in]  w      weights, [in_c][k_h][k_w]
 * @param[out] packed scratch, [k_h * k_w * block]
 *
 * MACs: out_h*out_w*in_c*k_h*k_w. Reference: ops/convolution/depthwise_conv2d_f32.py::depthwise_conv2d_f32.
 */
void mcg_depthwise_conv2d_f32(const mcg_conv2d_t *g, int32_t block, const float *x, const float *w,
                              const float *bias, const float *clip, float *y, float *packed);

/**
 * @brief Error of its input: each window, first to last, adds w e to the inputs that it covers.
 *
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 *
 * Reference: ops/convolution/depthwise_conv2d_f32.py::depthwise_conv2d_grad_input_f32.
 */
void mcg_depthwise_conv2d_grad_input_f32(const mcg_conv2d_t *g, int32_t block, const float *e,
                                         const uint16_t *active, const float *w, float *e_x, float *packed);

/**
 * @brief w -= rate * sum of e x over windows, first window first.
 *
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 *
 * Reference: ops/convolution/depthwise_conv2d_f32.py::depthwise_conv2d_update_f32.
 */
void mcg_depthwise_conv2d_update_f32(const mcg_conv2d_t *g, int32_t block, const float *x, const float *e,
                                     const uint16_t *active, const float *rate, float *w, float *packed);

/**
 * @brief Transposed convolution: y = clip(sum over the input pixels that reach it, first pixel first, +
 * bias).
 *
 * @param[in]  w     weights, [out_c][k_h][k_w][in_c]
 * @param[out] patch scratch, [out_c * k_h * k_w]
 *
 * MACs: in_h*in_w*out_c*k_h*k_w*in_c.
 * Reference: ops/convolution/conv_transpose2d_f32.py::conv_transpose2d_f32.
 */
void mcg_conv_transpose2d_f32(const mcg_conv2d_t *g, const float *x, const float *w, const float *bias,
                              const float *clip, float *y, float *patch);

/**
 * @brief Error of its input: sum of w e over output channels and taps; errors of 0 are skipped.
 *
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 *
 * Scratch as forward. Reference: ops/convolution/conv_transpose2d_f32.py::conv_transpose2d_grad_input_f32.
 */
void mcg_conv_transpose2d_grad_input_f32(const mcg_conv2d_t *g, const float *e, const uint16_t *active,
                                         const float *w, float *e_x, float *patch);

/**
 * @brief w -= rate * sum of e x over input pixels, first pixel first; errors of 0 are skipped.
 *
 * @param[in]  active   channels that take part: e holds these alone; NULL for all
 * @param[out] gradient scratch, [k_h * k_w * in_c]
 *
 * Reference: ops/convolution/conv_transpose2d_f32.py::conv_transpose2d_update_f32.
 */
void mcg_conv_transpose2d_update_f32(const mcg_conv2d_t *g, const float *x, const float *e,
                                     const uint16_t *active, const float *rate, float *w, float *gradient);

#endif /* MCG_CONVOLUTION_F32_H */
