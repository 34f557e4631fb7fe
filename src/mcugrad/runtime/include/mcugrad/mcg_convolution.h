/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions: ordinary, 1x1, depthwise, grouped, transposed. Forward passes, errors of inputs,
 * updates of weights in place.
 */
#ifndef MCG_CONVOLUTION_H
#define MCG_CONVOLUTION_H

#include "mcg_planes.h"

/** Channels of a depthwise convolution whose gradients exist at a time, at most. */
#define MCG_DEPTHWISE_ROWS 32

/**
 * @brief y = clip(rescale(w (x - x_zero) + bias)) + y_zero, for every window and output channel.
 *
 * @param[in]  g     geometry and zero points
 * @param[in]  x     input, [in_h][in_w][in_c]
 * @param[in]  w     weights, [out_c][k_h][k_w][in_c]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  bias  [out_c], in accumulator units, within +-2^29
 * @param[in]  scale factors, accumulator to output, [out_c]
 * @param[in]  clip  lower and upper bound of the activation function, relative to y_zero
 * @param[out] y     output, [out_h][out_w][out_c]; must not overlap x
 * @param[out] peak  largest |output - y_zero| after clipping, before saturation to int8
 * @param[out] patch scratch, [k_h * k_w * in_c]
 * @param[in]  room  bytes of scratch; 0 for none
 * @param[out] scratch memory that makes it faster, with no meaning afterwards
 *
 * MACs: out_h*out_w*out_c*k_h*k_w*in_c. Stack: MCG_BLOCK words; over panels 0.7 KiB,
 * 1.4 without scratch. Reference: ops/convolution/conv2d_s8.py::conv2d_s8.
 */
void mcg_conv2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                   const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                   int16_t *patch, int32_t room, uint32_t *scratch);

/**
 * @brief Error of a convolution's input: the sum of w e over taps and output channels, masked and rescaled.
 *
 * @param[in]  g      geometry; x_zero is the zero point of x
 * @param[in]  e      error of the output, [out_h][out_w][out_c], in [-127, 127]
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 * @param[in]  w      weights, [out_c][k_h][k_w][in_c]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  x      the layer's input: where it is on a bound of clip, or beyond, the error is 0
 * @param[in]  scale  accumulator to error, [in_c]
 * @param[in]  clip   bounds of the activation function that made x, relative to x_zero
 * @param[out] e_x    error of the input, [in_h][in_w][in_c], in [-127, 127]; must not overlap e
 * @param[out] peak   largest magnitude of e_x before saturation
 * @param[in]  room  bytes of scratch; 0 for none
 * @param[out] scratch memory that makes it faster, with no meaning afterwards
 *
 * MACs: as forward, without those of zero errors. Stack: MCG_BLOCK words and mcg_spread_s8; over panels
 * 0.9 KiB. Reference:
 * ops/convolution/conv2d_s8.py::conv2d_grad_input_s8.
 */
void mcg_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                              const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                              const int32_t *clip, int8_t *e_x, int32_t *peak, int32_t room,
                              uint32_t *scratch);

/**
 * @brief w -= factor * (e (x - x_zero)^T), by the update rule; the gradients of a few channels exist at a
 * time.
 *
 * @param[in]     g        geometry; x_zero is the zero point of x
 * @param[in]     x        the layer's input, [in_h][in_w][in_c]
 * @param[in]     e        error of its output, [out_h][out_w][out_c]
 * @param[in]     active   channels that take part: e holds these alone; NULL for all
 * @param[in]     factor   gradient to 1/65536 weight steps, [out_c]
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the random numbers
 * @param[in]     step     number of the training step
 * @param[in]     tensor   16 times the number of the layer, for random numbers
 * @param[in]     rows     output channels at a time; more read the input less often
 * @param[in,out] w        weights, [out_c][k_h][k_w][in_c]
 * @param[in,out] residual the rule's residual bits, one row per output channel, or NULL
 * @param[in,out] w_scale  [out_c]; grows where a weight saturated
 * @param[out]    gradient scratch, [min(rows, out_c)][k_h * k_w * in_c]
 * @param[out]    patch    scratch, [k_h * k_w * in_c]
 * @param[in]     room     bytes of scratch; 0 for none
 * @param[out]    scratch  memory that makes it faster, with no meaning afterwards
 *
 * MACs: as forward, without pixels whose errors are all 0.
 * Reference: ops/convolution/conv2d_s8.py::conv2d_update.
 */
void mcg_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                       float *w_scale, int32_t *gradient, int16_t *patch, int32_t room, uint32_t *scratch);

/**
 * @brief A 1x1 convolution with stride 1 and no padding: mcg_conv2d_s8 without copies of the input.
 *
 * @param[in]  g     geometry and zero points
 * @param[in]  x     input, [out_h][out_w][in_c]
 * @param[in]  w     weights, [out_c][in_c]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  bias  [out_c], in accumulator units, within +-2^29
 * @param[in]  scale factors, accumulator to output, [out_c]
 * @param[in]  clip  lower and upper bound of the activation function, relative to y_zero
 * @param[out] y     output, [out_h][out_w][out_c]; must not overlap x
 * @param[out] peak  largest |output - y_zero| after clipping, before saturation to int8
 * @param[in]  room  bytes of scratch; 0 for none
 * @param[out] scratch memory that makes it faster, with no meaning afterwards
 *
 * MACs: out_h*out_w*out_c*in_c. Stack: 2 * MCG_BLOCK words; over panels 0.7 KiB,
 * 1.4 without scratch. Reference: ops/convolution/pointwise_s8.py::pointwise_s8.
 */
void mcg_pointwise_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                      const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                      int32_t room, uint32_t *scratch);

/**
 * @brief w -= factor * gradient for a 1x1 convolution with stride 1; rows without an error are skipped.
 *
 * @param[in]     g        geometry and zero points
 * @param[in]     x        the layer's input, [out_h][out_w][in_c]
 * @param[in]     e        error of the output, [out_h][out_w][out_c], in [-127, 127]
 * @param[in]     active   channels that take part: e holds these alone; NULL for all
 * @param[in]     factor   gradient to 1/65536 weight steps, [out_c]
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the model's random numbers
 * @param[in]     step     training steps so far
 * @param[in]     tensor   16 times the number of the layer, for random numbers
 * @param[in]     rows     output channels whose gradients exist at a time, at most MCG_BLOCK
 * @param[in,out] w        weights, [out_c][in_c]
 * @param[in,out] residual residual bits, or NULL
 * @param[in,out] w_scale  real units per step, [out_c]
 * @param[out]    gradient scratch, [rows][in_c]
 * @param[in]     room     bytes of scratch; 0 for none
 * @param[out]    scratch  memory that makes it faster, with no meaning afterwards
 *
 * MACs: out_h*out_w*out_c*in_c. Stack: MCG_BLOCK words; over panels 0.6 KiB.
 * Reference: ops/convolution/pointwise_s8.py::pointwise_update.
 */
void mcg_pointwise_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                          const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                          const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                          float *w_scale, int32_t *gradient, int32_t room, uint32_t *scratch);

/**
 * @brief Convolution of every input channel with out_c / in_c kernels of its own, and clip as in
 * mcg_conv2d_s8.
 *
 * @param[in]  g     geometry and zero points
 * @param[in]  x     input, [in_h][in_w][in_c]
 * @param[in]  w     weights, [out_c][k_h][k_w]; output channel o reads input channel o / (out_c / in_c)
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  bias  [out_c], in accumulator units, within +-2^29
 * @param[in]  scale factors, accumulator to output, [out_c]
 * @param[in]  clip  lower and upper bound of the activation function, relative to y_zero
 * @param[out] y     output, [out_h][out_w][out_c]; must not overlap x, but where each channel reads
 *                   itself alone it may begin before x, by so many pixels that a row of outputs ends
 *                   before all that its windows and later ones begin with
 * @param[out] peak  largest |output - y_zero| after clipping, before saturation to int8
 * @param[out] packed scratch, [k_h * k_w][at most MCG_BLOCK channels]
 * @param[in]  room  bytes of scratch; 0 for none
 * @param[out] scratch memory that makes it faster, with no meaning afterwards: planes of four channels
 *
 * MACs: out_h*out_w*out_c*k_h*k_w. Stack: 600 bytes.
 * Reference: ops/convolution/depthwise_conv2d_s8.py::depthwise_conv2d_s8.
 */
void mcg_depthwise_conv2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                             const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                             int32_t *peak, int8_t *packed, int32_t room, uint32_t *scratch);

/** mcg_depthwise_conv2d_s8 of any shape and without scratch, block by block of channels. */
void mcg_depthwise_any_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                          const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                          int32_t *peak, int8_t *packed);

/**
 * @brief Error of the input of a depthwise convolution, masked and rescaled.
 *
 * @param[in]  g      geometry and zero points
 * @param[in]  e      error of the output, [out_h][out_w][out_c], in [-127, 127]
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 * @param[in]  w      weights, [out_c][k_h][k_w]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  x      the layer's input, [in_h][in_w][in_c]
 * @param[in]  scale  accumulator to error, [in_c]
 * @param[in]  clip   bounds of the activation function that made x, relative to x_zero
 * @param[out] e_x    error of x, [in_h][in_w][in_c]; must not overlap e
 * @param[out] peak   largest |e_x| before saturation to +-127
 * @param[out] packed scratch, [out_c / in_c * k_h * k_w][at most MCG_BLOCK channels]
 * @param[in]  room   bytes of scratch; 0 for none
 * @param[out] scratch memory that makes it faster, with no meaning afterwards: planes of four channels
 *
 * MACs: out_h*out_w*out_c*k_h*k_w. Stack: MCG_BLOCK words and rows of bytes. Reference:
 * ops/convolution/depthwise_conv2d_s8.py::depthwise_conv2d_grad_input_s8.
 */
void mcg_depthwise_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                        const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                        const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                                        int32_t *peak, int8_t *packed, int32_t room, uint32_t *scratch);

/** mcg_depthwise_conv2d_grad_input_s8 of any shape and without scratch, block by block of channels. */
void mcg_depthwise_any_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                     const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                     const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                                     int32_t *peak, int8_t *packed);

/**
 * @brief mcg_depthwise_conv2d_grad_input_s8 for a list of channels: other channels' errors are 0, at no cost.
 *
 * @param[in]  g      geometry; x_zero is the zero point of x
 * @param[in]  e      error of the listed channels, [out_h][out_w][active[0]]
 * @param[in]  active list of channels
 * @param[in]  w      weights, [out_c][k_h][k_w]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  x      the layer's input
 * @param[in]  scale  accumulator to error, [in_c]
 * @param[in]  clip   bounds of the activation function that made x, relative to x_zero
 * @param[out] e_x    error of the input, [in_h][in_w][in_c]; must not overlap e
 * @param[out] peak   largest magnitude of e_x before saturation
 * @param[out] packed scratch, [out_c / in_c * k_h * k_w][min(in_c, MCG_BLOCK)]
 *
 * Stack: 5 * MCG_BLOCK words.
 */
void mcg_depthwise_grad_active_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                  const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                  const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak,
                                  int8_t *packed);

/**
 * @brief w -= factor * gradient for a depthwise convolution; channels are taken `rows` at a time, those
 * without an error skipped.
 *
 * @param[in]     g        geometry and zero points
 * @param[in]     x        the layer's input, [in_h][in_w][in_c]
 * @param[in]     e        error of the output, [out_h][out_w][out_c], in [-127, 127]
 * @param[in]     active   channels that take part: e holds these alone; NULL for all
 * @param[in]     factor   gradient to 1/65536 weight steps, [out_c]
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the model's random numbers
 * @param[in]     step     training steps so far
 * @param[in]     tensor   16 times the number of the layer, for random numbers
 * @param[in]     rows     channels whose gradients exist at a time, at most MCG_DEPTHWISE_ROWS
 * @param[in,out] w        weights, [out_c][k_h][k_w]
 * @param[in,out] residual residual bits, or NULL
 * @param[in,out] w_scale  real units per step, [out_c]
 * @param[out]    gradient scratch, [rows + 1][k_h * k_w]
 * @param[in]     room     bytes of scratch; 0 for none
 * @param[out]    scratch  memory that makes it faster, with no meaning afterwards: planes of four channels
 *
 * MACs: out_h*out_w*out_c*k_h*k_w. Reference:
 * ops/convolution/depthwise_conv2d_s8.py::depthwise_conv2d_update.
 */
void mcg_depthwise_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e,
                                 const uint16_t *active, const mcg_scale_t *factor, const mcg_rule_t *rule,
                                 const uint32_t *seed, const uint32_t *step, uint32_t tensor, int32_t rows,
                                 int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                                 int32_t room, uint32_t *scratch);

/** mcg_depthwise_conv2d_update of any shape and without scratch, block by block of channels. */
void mcg_depthwise_any_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                              const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                              const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w,
                              uint8_t *residual, float *w_scale, int32_t *gradient);

/**
 * @brief Convolution in groups: each reads its part of the input channels and makes its part of the output
 * channels.
 *
 * @param[in]  g     geometry and zero points
 * @param[in]  groups number of groups; in_c and out_c are multiples
 * @param[in]  x     input, [in_h][in_w][in_c]
 * @param[in]  w     weights, [out_c][k_h][k_w][in_c / groups]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  bias  [out_c], in accumulator units, within +-2^29
 * @param[in]  scale factors, accumulator to output, [out_c]
 * @param[in]  clip  lower and upper bound of the activation function, relative to y_zero
 * @param[out] y     output, [out_h][out_w][out_c]; must not overlap x
 * @param[out] peak  largest |output - y_zero| after clipping, before saturation to int8
 * @param[out] patch scratch, [k_h * k_w * in_c / groups]
 *
 * MACs: out_h*out_w*out_c*k_h*k_w*in_c/groups. Stack: MCG_BLOCK words. Reference:
 * ops/convolution/grouped_conv2d_s8.py::grouped_conv2d_s8.
 */
void mcg_grouped_conv2d_s8(const mcg_conv2d_t *g, int32_t groups, const int8_t *x, const int8_t *w,
                           const int32_t *w_zero, const int32_t *bias, const float *scale,
                           const int32_t *clip, int8_t *y, int32_t *peak, int16_t *patch);

/**
 * @brief Error of the input of a grouped convolution, masked and rescaled.
 *
 * @param[in]  g      geometry and zero points
 * @param[in]  groups number of groups; in_c and out_c are multiples
 * @param[in]  e      error of the output, [out_h][out_w][out_c], in [-127, 127]
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 * @param[in]  w      weights, [out_c][k_h][k_w][in_c / groups]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  x      the layer's input, [in_h][in_w][in_c]
 * @param[in]  scale  accumulator to error, [in_c]
 * @param[in]  clip   bounds of the activation function that made x, relative to x_zero
 * @param[out] e_x    error of x, [in_h][in_w][in_c]; must not overlap e
 * @param[out] peak   largest |e_x| before saturation to +-127
 *
 * MACs: out_h*out_w*out_c*k_h*k_w*in_c/groups. Stack: MCG_BLOCK words and rows of bytes. Reference:
 * ops/convolution/grouped_conv2d_s8.py::grouped_conv2d_grad_input_s8.
 */
void mcg_grouped_conv2d_grad_input_s8(const mcg_conv2d_t *g, int32_t groups, const int8_t *e,
                                      const uint16_t *active, const int8_t *w, const int32_t *w_zero,
                                      const int8_t *x, const mcg_scale_t *scale, const int32_t *clip,
                                      int8_t *e_x, int32_t *peak);

/**
 * @brief w -= factor * gradient for a grouped convolution, by the update rule.
 *
 * @param[in]     g        geometry and zero points
 * @param[in]     groups   number of groups; in_c and out_c are multiples
 * @param[in]     x        the layer's input, [in_h][in_w][in_c]
 * @param[in]     e        error of the output, [out_h][out_w][out_c], in [-127, 127]
 * @param[in]     active   channels that take part: e holds these alone; NULL for all
 * @param[in]     factor   gradient to 1/65536 weight steps, [out_c]
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the model's random numbers
 * @param[in]     step     training steps so far
 * @param[in]     tensor   16 times the number of the layer, for random numbers
 * @param[in]     rows     output channels whose gradients exist at a time
 * @param[in,out] w        weights, [out_c][k_h][k_w][in_c / groups]
 * @param[in,out] residual residual bits, or NULL
 * @param[in,out] w_scale  real units per step, [out_c]
 * @param[out]    gradient scratch, [rows][k_h * k_w * in_c / groups]
 * @param[out]    patch    scratch, [k_h * k_w * in_c / groups]
 *
 * MACs: out_h*out_w*out_c*k_h*k_w*in_c/groups.
 * Reference: ops/convolution/grouped_conv2d_s8.py::grouped_conv2d_update.
 */
void mcg_grouped_conv2d_update(const mcg_conv2d_t *g, int32_t groups, const int8_t *x, const int8_t *e,
                               const uint16_t *active, const mcg_scale_t *factor, const mcg_rule_t *rule,
                               const uint32_t *seed, const uint32_t *step, uint32_t tensor, int32_t rows,
                               int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                               int16_t *patch);

/**
 * @brief Transposed convolution: input (iy, ix) adds to outputs (iy * stride_h - pad_top + ky * dilation_h,
 * ...).
 *
 * @param[in]  g     geometry and zero points
 * @param[in]  x     input, [in_h][in_w][in_c]
 * @param[in]  w     weights, [out_c][k_h][k_w][in_c]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  bias  [out_c], in accumulator units, within +-2^29
 * @param[in]  scale factors, accumulator to output, [out_c]
 * @param[in]  clip  lower and upper bound of the activation function, relative to y_zero
 * @param[out] y     output, [out_h][out_w][out_c]; must not overlap x
 * @param[out] peak  largest |output - y_zero| after clipping, before saturation to int8
 * @param[out] patch scratch, [in_c]
 *
 * MACs: in_h*in_w*in_c*k_h*k_w*out_c. Stack: MCG_BLOCK words. Reference:
 * ops/convolution/conv_transpose2d_s8.py::conv_transpose2d_s8.
 */
void mcg_conv_transpose2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                             const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                             int32_t *peak, int16_t *patch);

/**
 * @brief Error of the input of a transposed convolution, masked and rescaled.
 *
 * @param[in]  g      geometry and zero points
 * @param[in]  e      error of the output, [out_h][out_w][out_c], in [-127, 127]
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 * @param[in]  w      weights, [out_c][k_h][k_w][in_c]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  x      the layer's input, [in_h][in_w][in_c]
 * @param[in]  scale  accumulator to error, [in_c]
 * @param[in]  clip   bounds of the activation function that made x, relative to x_zero
 * @param[out] e_x    error of x, [in_h][in_w][in_c]; must not overlap e
 * @param[out] peak   largest |e_x| before saturation to +-127
 *
 * MACs: in_h*in_w*in_c*k_h*k_w*out_c. Stack: MCG_BLOCK words and rows of bytes. Reference:
 * ops/convolution/conv_transpose2d_s8.py::conv_transpose2d_grad_input_s8.
 */
void mcg_conv_transpose2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                        const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                        const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                                        int32_t *peak);

/**
 * @brief w -= factor * gradient for a transposed convolution, by the update rule.
 *
 * @param[in]     g        geometry and zero points
 * @param[in]     x        the layer's input, [in_h][in_w][in_c]
 * @param[in]     e        error of the output, [out_h][out_w][out_c], in [-127, 127]
 * @param[in]     active   channels that take part: e holds these alone; NULL for all
 * @param[in]     factor   gradient to 1/65536 weight steps, [out_c]
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the model's random numbers
 * @param[in]     step     training steps so far
 * @param[in]     tensor   16 times the number of the layer, for random numbers
 * @param[in]     rows     output channels whose gradients exist at a time
 * @param[in,out] w        weights, [out_c][k_h][k_w][in_c]
 * @param[in,out] residual residual bits, or NULL
 * @param[in,out] w_scale  real units per step, [out_c]
 * @param[out]    gradient scratch, [rows][k_h * k_w * in_c]
 * @param[out]    patch    scratch, [in_c]
 *
 * MACs: in_h*in_w*in_c*k_h*k_w*out_c.
 * Reference: ops/convolution/conv_transpose2d_s8.py::conv_transpose2d_update.
 */
void mcg_conv_transpose2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e,
                                 const uint16_t *active, const mcg_scale_t *factor, const mcg_rule_t *rule,
                                 const uint32_t *seed, const uint32_t *step, uint32_t tensor, int32_t rows,
                                 int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                                 int16_t *patch);

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

#endif /* MCG_CONVOLUTION_H */
