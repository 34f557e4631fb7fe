/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels of layers in float32; what mcg_kernels.h says on arrays and arguments holds here, too. Only + - * /
 * and comparisons, compiled without contraction, each sum in one order: the same bits everywhere.
 */
#ifndef MCG_KERNELS_F32_H
#define MCG_KERNELS_F32_H

#include "mcg_kernels.h"

/**
 * @brief y = (x - x_zero) * x_scale: int8 activations in real units.
 *
 * Reference: ops/core/dequantize.py::dequantize_f32.
 */
void mcg_dequantize_f32(int32_t count, int32_t x_zero, const int8_t *x, const float *x_scale, float *y);

/**
 * @brief e = 0 where x is not between bounds[0] and bounds[1]: there the activation function that made x is
 * flat.
 *
 * Reference: ops/core/operator_f32.py::mask_f32.
 */
void mcg_mask_f32(int32_t count, const float *bounds, const float *x, float *e);

/**
 * @brief sum[r] = sum over i of x[i] w[r, i], for `rows` rows of `count` weights.
 *
 * Term i goes to partial sum i mod 8; these are added as ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)).
 *
 * MACs: rows*count. Stack: 8 words. Reference: ops/core/operator_f32.py::dot_f32.
 */
void mcg_dot_f32(int32_t count, int32_t rows, const float *x, const float *w, float *sum);

/**
 * @brief sum[i] = sum over r of e[r] w[r, i], first r first; rows whose e is 0 are skipped.
 *
 * @param[in] active e[r] belongs to the row active[1 + r]; NULL: to row r
 *
 * MACs: rows*count. Reference: ops/core/operator_f32.py::combine_f32.
 */
void mcg_combine_f32(int32_t rows, int32_t count, const float *e, const uint16_t *active, const float *w,
                     float *sum);

/**
 * @brief y += factor * x.
 *
 * One term of the sums in ops/core/operator_f32.py::combined.
 */
void mcg_add_scaled_f32(int32_t count, float factor, const float *x, float *y);

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

/**
 * @brief bias[o] -= rate * sum over pixels of e[., o], first pixel first.
 *
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 *
 * Reference: ops/update/update_f32.py::bias_update_f32.
 */
void mcg_bias_update_f32(int32_t pixels, int32_t channels, const float *e, const uint16_t *active,
                         const float *rate, float *bias);

/**
 * @brief Copy the window of one output, `channels` channels of each pixel, x at the first of them; 0 outside
 * the map.
 *
 * Reference: ops/convolution/conv2d.py::patches.
 */
void mcg_patch_f32(const mcg_conv2d_t *g, const float *x, int32_t channels, int32_t out_y, int32_t out_x,
                   float *patch);

/**
 * @brief Add a window to the pixels that it covers: the reverse of mcg_patch_f32.
 *
 * Reference: ops/convolution/convolution_f32.py::conv2d_grad_input_f32.
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
 * @brief Index of the first largest input of a window and channel; -1 where it covers none.
 *
 * Reference: ops/pooling/maxpool2d_f32.py::winners.
 */
int32_t mcg_maxpool2d_winner_f32(const mcg_pool2d_t *g, const float *x, int32_t out_y, int32_t out_x,
                                 int32_t channel);

/**
 * @brief Largest value of each window and channel; 0 where a window lies in the padding altogether.
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
 * @brief Softmax cross-entropy of float logits, and its derivative.
 *
 * @param[in]  smoothing  share of the target spread over all classes
 * @param[out] e          derivatives, [classes]
 * @param[out] loss       nats
 * @param[out] confidence probability of the largest logit
 *
 * Reference: ops/loss/losses_f32.py::softmax_cross_entropy_f32.
 */
void mcg_softmax_cross_entropy_f32(int32_t classes, const float *logits, uint32_t label,
                                   const float *smoothing, float *e, float *loss, float *confidence);

/**
 * @brief Cross-entropy towards what is wanted of each class, both at a temperature of 3, and its derivative.
 *
 * @param[in]  classes    number of classes, at most 65535
 * @param[in]  logits     [classes]
 * @param[in]  soft       wanted, relative to their sum, [classes]; not all zero
 * @param[out] e          derivatives, [classes]
 * @param[out] loss       nats, times 9
 * @param[out] confidence probability of the largest logit, without temperature
 * @param[out] ratio      half the sum of the differences of both distributions, in [0, 1]; NULL if not wanted
 *
 * Reference: ops/loss/soft_cross_entropy.py::soft_cross_entropy_f32.
 */
void mcg_soft_cross_entropy_f32(int32_t classes, const float *logits, const uint8_t *soft, float *e,
                                float *loss, float *confidence, float *ratio);

/**
 * @brief Probabilities at a temperature of 3, relative to the largest one, as a soft target keeps them.
 *
 * @param[out] soft [classes]; the largest is 255, if it is finite
 *
 * Reference: ops/loss/soft_cross_entropy.py::soften_f32.
 */
void mcg_soften_f32(int32_t classes, const float *logits, uint8_t *soft);

/**
 * @brief Multiply the loss of a sample, and its errors, by the weight of its class.
 *
 * Reference: ops/loss/losses_f32.py::weigh_loss_f32.
 */
void mcg_weigh_loss_f32(int32_t classes, uint32_t label, const float *weight, float *e, float *loss);

/**
 * @brief Index of the largest value, the first one of several; NaN is never larger.
 *
 * Reference: ops/life/life.py::argmax_f32.
 */
void mcg_argmax_f32(int32_t count, const float *x, uint32_t *index);

/**
 * @brief Drift of the uncertainty of predictions: one less the probability of the predicted class.
 *
 * @param[in]     logits [classes]
 * @param[in,out] drift  follows; what is not finite is left out
 *
 * Reference: ops/life/life.py::watch_confidence_f32.
 */
void mcg_watch_confidence_f32(int32_t classes, const float *logits, mcg_drift_t *drift);

/**
 * @brief y = clip(a + sign * b).
 *
 * Reference: ops/core/errors_f32.py::add_f32.
 */
void mcg_add_f32(int32_t count, int32_t sign, const float *a, const float *b, const float *clip, float *y);

/**
 * @brief e_x[r, i] = sign * e[r, offset + i]: rows of `count` elements cut out of rows of `pitch`.
 *
 * Reference: ops/core/errors_f32.py::part_f32.
 */
void mcg_part_f32(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t sign, const float *e,
                  float *e_x);

/**
 * @brief y[r, offset + i] = clip(x[r, i]): rows of `count` elements put into rows of `pitch`.
 *
 * Reference: ops/joining/concat_f32.py::concat_f32.
 */
void mcg_concat_f32(int32_t rows, int32_t count, int32_t pitch, int32_t offset, const float *x,
                    const float *clip, float *y);

/**
 * @brief y = clip(a * b); b repeats every `period` elements.
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

/**
 * @brief y = function(x); `parameters` are alpha and beta.
 *
 * Reference: ops/activation/activation_f32.py::function_f32.
 */
void mcg_function_f32(int32_t count, int32_t function, const float *parameters, const float *x, float *y);

/**
 * @brief e_x = e * slope of the function at x.
 *
 * Reference: ops/activation/activation_f32.py::function_grad_f32.
 */
void mcg_function_grad_f32(int32_t count, int32_t function, const float *parameters, const float *e,
                           const float *x, float *e_x);

/**
 * @brief y = x, times the slope of its channel where x is negative; slopes repeat every `channels` elements.
 *
 * Reference: ops/activation/prelu_f32.py::prelu_f32.
 */
void mcg_prelu_f32(int32_t count, int32_t channels, const float *x, const float *slope, float *y);

/**
 * @brief e_x = e, times the slope of its channel where x is negative.
 *
 * Reference: ops/activation/prelu_f32.py::prelu_grad_f32.
 */
void mcg_prelu_grad_f32(int32_t count, int32_t channels, const float *e, const float *x, const float *slope,
                        float *e_x);

/**
 * @brief part = whole[first :: step].
 *
 * Reference: ops/movement/movement_f32.py::gather_f32.
 */
void mcg_gather_f32(const mcg_slice_t *g, const float *whole, float *part);

/**
 * @brief whole[first :: step] = part; 0 elsewhere.
 *
 * Reference: ops/movement/movement_f32.py::scatter_f32.
 */
void mcg_scatter_f32(const mcg_slice_t *g, const float *part, float *whole);

/**
 * @brief y[i, j] = x[i / factor_h, j / factor_w]; `height` and `width` are those of x.
 *
 * Reference: ops/movement/movement_f32.py::upsample2d_f32.
 */
void mcg_upsample2d_f32(int32_t height, int32_t width, int32_t channels, int32_t factor_h, int32_t factor_w,
                        const float *x, float *y);

/**
 * @brief Error of a pixel: the sum over its copies, row by row.
 *
 * Reference: ops/movement/movement_f32.py::upsample2d_grad_input_f32.
 */
void mcg_upsample2d_grad_input_f32(int32_t height, int32_t width, int32_t channels, int32_t factor_h,
                                   int32_t factor_w, const float *e, float *e_x);

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
 * bias).
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

/**
 * @brief Binary cross-entropy of float logits, mean over outputs, and its derivative; target[i] != 0 where
 * label i applies.
 *
 * Reference: ops/loss/losses_f32.py::binary_cross_entropy_f32.
 */
void mcg_binary_cross_entropy_f32(int32_t outputs, const float *logits, const uint8_t *target, float *e,
                                  float *loss);

/**
 * @brief Squared, absolute or Huber loss, mean over outputs, and its derivative.
 *
 * @param[in] target int8, real = target_scale * (q - target_zero)
 * @param[in] linear where the loss turns linear: above 1e38 squared, 0 absolute
 *
 * Reference: ops/loss/losses_f32.py::regression_loss_f32.
 */
void mcg_regression_loss_f32(int32_t outputs, int32_t target_zero, const float *y, const int8_t *target,
                             const float *target_scale, const float *linear, float *e, float *loss);

/**
 * @brief Importance of every channel: the sum of the magnitudes of its errors, first pixel first.
 *
 * @param[in]  pixels   errors per channel
 * @param[in]  channels output channels of the layer
 * @param[in]  e        error of its output, [pixels][channels]
 * @param[out] sum      bits of the sums, which order as they do, [channels]; infinity for NaN
 *
 * Reference: ops/selection/select_f32.py::select_sums_f32.
 */
void mcg_select_sums_f32(int32_t pixels, int32_t channels, const float *e, int32_t *sum);

/**
 * @brief Parts of 2^29 that the sums have in all of them, at least 1 where a sum is not 0.
 *
 * Where sums are infinite, these share all of it alike.
 *
 * @param[in]  channels number of channels, at most 65535
 * @param[in]  sum      bits of sums, none negative, [channels]
 * @param[out] part     together below 2^30, [channels]
 *
 * Reference: ops/selection/select_f32.py::select_parts_f32.
 */
void mcg_select_parts_f32(int32_t channels, const int32_t *sum, int32_t *part);

/**
 * @brief The errors of the listed channels, side by side, each times 1 / odds.
 *
 * @param[in]  pixels   errors per channel
 * @param[in]  channels output channels of the layer
 * @param[in]  e        error of its output, [pixels][channels]
 * @param[in]  active   list of channels
 * @param[in]  odds     of those listed, in 1/65536, in the order of the list; NULL for certain ones
 * @param[out] kept     [pixels][active[0]]; must not overlap e
 *
 * Reference: ops/selection/select_f32.py::select_copy_f32.
 */
void mcg_select_copy_f32(int32_t pixels, int32_t channels, const float *e, const uint16_t *active,
                         const int32_t *odds, float *kept);

/**
 * @brief Errors of listed channels, side by side, each times 1 / odds, in place.
 *
 * @param[in]     pixels errors per channel
 * @param[in]     active list of channels
 * @param[in]     odds   of those listed, in 1/65536, in the order of the list
 * @param[in,out] kept   [pixels][active[0]]
 *
 * Reference: ops/selection/select_f32.py::select_weigh_f32.
 */
void mcg_select_weigh_f32(int32_t pixels, const uint16_t *active, const int32_t *odds, float *kept);

#endif /* MCG_KERNELS_F32_H */
