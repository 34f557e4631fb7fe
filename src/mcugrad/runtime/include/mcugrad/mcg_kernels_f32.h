/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels of layers in float32; what mcg_kernels.h says on arrays and arguments holds here, too. Only + - * /
 * and comparisons, compiled without contraction, each sum in one order: the same bits everywhere.
 */
#ifndef MCG_KERNELS_F32_H
#define MCG_KERNELS_F32_H

#include "mcg_layers.h"

/**
 * @brief y = (x - x_zero) * x_scale: int8 activations in real units.
 *
 * Reference: ops/float_dequantize.py::dequantize_f32.
 */
void mcg_dequantize_f32(int32_t count, int32_t x_zero, const int8_t *x, const float *x_scale, float *y);

/**
 * @brief e = 0 where x is not between bounds[0] and bounds[1]: there the activation function that made x is
 * flat.
 *
 * Reference: ops/float_operator.py::mask_f32.
 */
void mcg_mask_f32(int32_t count, const float *bounds, const float *x, float *e);

/**
 * @brief sum[r] = sum over i of x[i] w[r, i], for `rows` rows of `count` weights.
 *
 * Term i goes to partial sum i mod 8; these are added as ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)).
 *
 * MACs: rows*count. Stack: 8 words. Reference: ops/float_operator.py::dot_f32.
 */
void mcg_dot_f32(int32_t count, int32_t rows, const float *x, const float *w, float *sum);

/**
 * @brief sum[i] = sum over r of e[r] w[r, i], first r first; rows whose e is 0 are skipped.
 *
 * MACs: rows*count. Reference: ops/float_operator.py::combine_f32.
 */
void mcg_combine_f32(int32_t rows, int32_t count, const float *e, const float *w, float *sum);

/**
 * @brief y += factor * x.
 *
 * One term of the sums in ops/float_operator.py::combined.
 */
void mcg_add_scaled_f32(int32_t count, float factor, const float *x, float *y);

/**
 * @brief y = clip(w x + bias), weights [out][inputs].
 *
 * MACs: inputs*out. Reference: ops/float_linear.py::linear_f32.
 */
void mcg_linear_f32(int32_t inputs, int32_t out, const float *x, const float *w, const float *bias,
                    const float *clip, float *y);

/**
 * @brief w[o, i] -= rate * (e[o] x[i]); rows whose e is 0 are skipped.
 *
 * MACs: inputs*out. Reference: ops/float_linear.py::linear_update_f32.
 */
void mcg_linear_update_f32(int32_t inputs, int32_t out, const float *x, const float *e, const float *rate,
                           float *w);

/**
 * @brief bias[o] -= rate * sum over pixels of e[., o], first pixel first.
 *
 * Reference: ops/float_update.py::bias_update_f32.
 */
void mcg_bias_update_f32(int32_t pixels, int32_t channels, const float *e, const float *rate, float *bias);

/**
 * @brief Copy the window of one output, `channels` channels of each pixel, x at the first of them; 0 outside
 * the map.
 *
 * Reference: ops/conv2d.py::patches.
 */
void mcg_patch_f32(const mcg_conv2d_t *g, const float *x, int32_t channels, int32_t out_y, int32_t out_x,
                   float *patch);

/**
 * @brief Add a window to the pixels that it covers: the reverse of mcg_patch_f32.
 *
 * Reference: ops/float_convolution.py::conv2d_grad_input_f32.
 */
void mcg_add_patch_f32(const mcg_conv2d_t *g, const float *patch, int32_t channels, int32_t out_y,
                       int32_t out_x, float *x);

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
 * MACs: out_h*out_w*out_c*k_h*k_w*in_c/groups. Reference: ops/float_convolution.py::conv2d_f32.
 */
void mcg_conv2d_f32(const mcg_conv2d_t *g, int32_t groups, const float *x, const float *w, const float *bias,
                    const float *clip, float *y, float *patch);

/**
 * @brief Error of a convolution's input. Every window adds the sum of w[o] e[o] over the outputs of a group.
 *
 * Windows whose errors are all 0 are skipped. MACs as forward. Scratch as forward.
 * Reference: ops/float_convolution.py::conv2d_grad_input_f32.
 */
void mcg_conv2d_grad_input_f32(const mcg_conv2d_t *g, int32_t groups, const float *e, const float *w,
                               float *e_x, float *patch);

/**
 * @brief w[o] -= rate * sum over windows of e[o] x, first window first; windows whose e[o] is 0 are skipped.
 *
 * @param[in]     rows     output channels whose gradients are gathered at a time
 * @param[in,out] w        weights
 * @param[out]    gradient scratch, [rows][k_h * k_w * in_c / groups]
 * @param[out]    patch    scratch, [k_h * k_w * in_c / groups]
 *
 * MACs as forward. Reference: ops/float_convolution.py::conv2d_update_f32.
 */
void mcg_conv2d_update_f32(const mcg_conv2d_t *g, int32_t groups, const float *x, const float *e,
                           const float *rate, int32_t rows, float *w, float *gradient, float *patch);

/**
 * @brief Index of the first largest input of a window and channel; -1 where it covers none.
 *
 * Reference: ops/float_maxpool2d.py::winners.
 */
int32_t mcg_maxpool2d_winner_f32(const mcg_pool2d_t *g, const float *x, int32_t out_y, int32_t out_x,
                                 int32_t channel);

/**
 * @brief Largest value of each window and channel; 0 where a window lies in the padding altogether.
 *
 * Reference: ops/float_maxpool2d.py::maxpool2d_f32.
 */
void mcg_maxpool2d_f32(const mcg_pool2d_t *g, const float *x, float *y);

/**
 * @brief Each error is added to the first winner of its window, in the order of the windows.
 *
 * Reference: ops/float_maxpool2d.py::maxpool2d_grad_input_f32.
 */
void mcg_maxpool2d_grad_input_f32(const mcg_pool2d_t *g, const float *e, const float *x, float *e_x);

/**
 * @brief Softmax cross-entropy of float logits, and its derivative.
 *
 * @param[in]  smoothing  share of the target spread over all classes
 * @param[out] e          derivatives, [classes]
 * @param[out] loss       nats
 * @param[out] confidence probability of the largest logit
 *
 * Reference: ops/float_losses.py::softmax_cross_entropy_f32.
 */
void mcg_softmax_cross_entropy_f32(int32_t classes, const float *logits, uint32_t label,
                                   const float *smoothing, float *e, float *loss, float *confidence);

/**
 * @brief Multiply the loss of a sample, and its errors, by the weight of its class.
 *
 * Reference: ops/float_losses.py::weigh_loss_f32.
 */
void mcg_weigh_loss_f32(int32_t classes, uint32_t label, const float *weight, float *e, float *loss);

/**
 * @brief Index of the largest value, the first one of several; NaN is never larger.
 *
 * Reference: ops/life.py::argmax_f32.
 */
void mcg_argmax_f32(int32_t count, const float *x, uint32_t *index);

/**
 * @brief Drift of the uncertainty of predictions: one less the probability of the predicted class.
 *
 * @param[in]     logits [classes]
 * @param[in,out] drift  follows; what is not finite is left out
 *
 * Reference: ops/life.py::watch_confidence_f32.
 */
void mcg_watch_confidence_f32(int32_t classes, const float *logits, mcg_drift_t *drift);

#endif /* MCG_KERNELS_F32_H */
