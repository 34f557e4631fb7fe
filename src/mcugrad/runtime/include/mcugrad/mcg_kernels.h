/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kernel. Arrays are row-major; constants first, then inputs, then what is written, then scratch.
 * A kernel cannot fail: the compiler proved its arguments. Scalars that training adapts, and what is
 * derived from them, are passed by pointer; what is fixed when the model is compiled by value or in a struct.
 * Files named as references lie in the Python package; docs/arithmetic.md says what they compute.
 */
#ifndef MCG_KERNELS_H
#define MCG_KERNELS_H

#include "mcg_layers.h"

/** Elements that a kernel handles at a time on the stack; a multiple of 4. */
#define MCG_BLOCK 64

/** A weight row that saturated gets this much more range; its weights shrink by the inverse, in 1/65536. */
#define MCG_GROWTH 1.25F
#define MCG_SHRINK 52429

/** Biases saturate here, in units of the accumulator. */
#define MCG_BIAS_LIMIT ((int32_t)1 << 29)

/** How fast ranges shrink: errors by 2^-7 a step, activations by 2^-10. They grow at once. */
#define MCG_ERROR_DECAY 0.0078125F
#define MCG_SCALE_DECAY 0.0009765625F

/** A clip bound that never clips: no accumulator reaches it. */
#define MCG_UNBOUNDED ((int32_t)1 << 30)

/** A range that shrinks by `rate`, but not below the part of it that was in use. */
static inline float mcg_decay(float range, float fill, float rate)
{
    const float slow = range - range * rate;
    const float now = range * fill;
    return slow > now ? slow : now;
}

/* -- Forward
 * ------------------------------------------------------------------------------------------------- */

/**
 * @brief y = clip(rescale(w (x - x_zero) + bias)) + y_zero, for every window and output channel.
 *
 * @param[in]  g     geometry and zero points
 * @param[in]  x     input, [in_h][in_w][in_c]
 * @param[in]  w     weights, [out_c][k_h][k_w][in_c], in [-127, 127]
 * @param[in]  bias  [out_c], in accumulator units, within +-2^29
 * @param[in]  scale accumulator to output, [out_c]
 * @param[in]  clip  lower and upper bound of the activation function, relative to y_zero
 * @param[out] y     output, [out_h][out_w][out_c]; must not overlap x
 * @param[out] peak  largest |output - y_zero| after clipping, before saturation to int8
 * @param[out] patch scratch, [k_h * k_w * in_c]
 *
 * MACs: out_h*out_w*out_c*k_h*k_w*in_c. Stack: MCG_BLOCK words. Reference: ops/conv2d.py::conv2d_s8.
 */
void mcg_conv2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                   const mcg_scale_t *scale, const int32_t *clip, int8_t *y, int32_t *peak, int16_t *patch);

/**
 * @brief y = clip(rescale(w (x - x_zero) + bias)) + y_zero, for every output.
 *
 * @param[in]  g     sizes and zero points
 * @param[in]  x     input, [inputs]
 * @param[in]  w     weights, [out][inputs], in [-127, 127]
 * @param[in]  bias  [out], in accumulator units, within +-2^29
 * @param[in]  scale accumulator to output, [out]
 * @param[in]  clip  lower and upper bound of the activation function, relative to y_zero
 * @param[out] y     output, [out]; must not overlap x
 * @param[out] peak  largest |output - y_zero| after clipping, before saturation to int8
 *
 * MACs: inputs*out. Stack: 2 * MCG_BLOCK words. Reference: ops/linear.py::linear_s8.
 */
void mcg_linear_s8(const mcg_linear_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                   const mcg_scale_t *scale, const int32_t *clip, int8_t *y, int32_t *peak);

/**
 * @brief Largest value of every window and channel; -128 where a window lies in the padding altogether.
 *
 * @param[in]  g geometry
 * @param[in]  x input, [in_h][in_w][channels]
 * @param[out] y output, [out_h][out_w][channels]; must not overlap x
 *
 * MACs: none. Scratch: none. Reference: ops/maxpool2d.py::maxpool2d_s8.
 */
void mcg_maxpool2d_s8(const mcg_pool2d_t *g, const int8_t *x, int8_t *y);

/* -- Loss
 * ---------------------------------------------------------------------------------------------------- */

/**
 * @brief Loss of a sample and the error of the logits, normalised: its largest magnitude becomes 127.
 *
 * @param[in]  classes     number of logits
 * @param[in]  channels    output channels of the layer that made them; classes is a multiple
 * @param[in]  zero        zero point of the logits
 * @param[in]  logits      [classes]
 * @param[in]  scale       real units per step of the logits, not negative
 * @param[in]  label       the sample's class, below classes
 * @param[in]  w_scale     weight scales of that layer, [channels]: the error is stored divided by c / w_scale
 * @param[in]  clip        bounds of that layer's activation function; logits on or beyond them get no error
 * @param[out] e           error, [classes], in [-127, 127]
 * @param[out] c           unit of the error
 * @param[out] loss        cross-entropy in nats
 * @param[out] confidence  largest probability
 * @param[out] probability [classes]; holds the real error times w_scale afterwards
 *
 * MACs: none. Stack: none. Reference: ops/softmax_cross_entropy.py::softmax_cross_entropy_s8.
 */
void mcg_softmax_cross_entropy_s8(int32_t classes, int32_t channels, int32_t zero, const int8_t *logits,
                                  const float *scale, uint32_t label, const float *w_scale,
                                  const int32_t *clip, int8_t *e, float *c, float *loss, float *confidence,
                                  float *probability);

/* -- Errors of inputs
 * ---------------------------------------------------------------------------------------- */

/**
 * @brief Error of a convolution's input: the sum of w e over taps and output channels, masked and rescaled.
 *
 * @param[in]  g     geometry; x_zero is the zero point of x
 * @param[in]  e     error of the output, [out_h][out_w][out_c], in [-127, 127]
 * @param[in]  w     weights, [out_c][k_h][k_w][in_c], in [-127, 127]
 * @param[in]  x     the layer's input: where it is on a bound of clip, or beyond, the error is 0
 * @param[in]  scale accumulator to error, [in_c]
 * @param[in]  clip  bounds of the activation function that made x, relative to x_zero
 * @param[out] e_x   error of the input, [in_h][in_w][in_c], in [-127, 127]; must not overlap e
 * @param[out] peak  largest magnitude of e_x before saturation
 *
 * MACs: as forward, without those of zero errors. Stack: MCG_BLOCK words and mcg_spread_s8. Reference:
 * ops/conv2d.py::conv2d_grad_input_s8.
 */
void mcg_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const int8_t *w, const int8_t *x,
                              const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak);

/**
 * @brief Error of a fully connected layer's input: w^T e, masked and rescaled.
 *
 * @param[in]  g     sizes; factors repeat every in_c inputs
 * @param[in]  e     error of the output, [out], in [-127, 127]
 * @param[in]  w     weights, [out][inputs], in [-127, 127]
 * @param[in]  x     the layer's input: where it is on a bound of clip, or beyond, the error is 0
 * @param[in]  scale accumulator to error, [in_c]
 * @param[in]  clip  bounds of the activation function that made x, relative to x_zero
 * @param[out] e_x   error of the input, [inputs], in [-127, 127]; must not overlap e
 * @param[out] peak  largest magnitude of e_x before saturation
 *
 * MACs: inputs*out, without rows of zero errors. Stack: MCG_BLOCK words and mcg_spread_s8. Reference:
 * ops/linear.py::linear_grad_input_s8.
 */
void mcg_linear_grad_input_s8(const mcg_linear_t *g, const int8_t *e, const int8_t *w, const int8_t *x,
                              const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak);

/**
 * @brief Adds each output's error to the input that won its window, in row order, saturating after each.
 *
 * @param[in]  g   geometry
 * @param[in]  e   error of the output, [out_h][out_w][channels]
 * @param[in]  x   the layer's input
 * @param[out] e_x error of the input, [in_h][in_w][channels], in [-127, 127]; must not overlap e
 *
 * MACs: none. Scratch: none. Reference: ops/maxpool2d.py::maxpool2d_grad_input_s8.
 */
void mcg_maxpool2d_grad_input_s8(const mcg_pool2d_t *g, const int8_t *e, const int8_t *x, int8_t *e_x);

/* -- Updates in place
 * ---------------------------------------------------------------------------------------- */

/**
 * @brief w -= factor * (e (x - x_zero)^T), by the update rule; the gradients of a few channels exist at a
 * time.
 *
 * @param[in]     g        geometry; x_zero is the zero point of x
 * @param[in]     x        the layer's input, [in_h][in_w][in_c]
 * @param[in]     e        error of its output, [out_h][out_w][out_c]
 * @param[in]     factor   gradient to 1/65536 weight steps, [out_c]
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the random numbers
 * @param[in]     step     number of the training step
 * @param[in]     tensor   number of the weight tensor in the model
 * @param[in]     rows     output channels at a time; more read the input less often
 * @param[in,out] w        weights, [out_c][k_h][k_w][in_c]
 * @param[in,out] residual the rule's residual bits, one row per output channel, or NULL
 * @param[in,out] w_scale  [out_c]; grows where a weight saturated
 * @param[out]    gradient scratch, [min(rows, out_c)][k_h * k_w * in_c]
 * @param[out]    patch    scratch, [k_h * k_w * in_c]
 *
 * MACs: as forward, without pixels whose errors are all 0. Reference: ops/conv2d.py::conv2d_update.
 */
void mcg_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const mcg_scale_t *factor,
                       const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step, uint32_t tensor,
                       int32_t rows, int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                       int16_t *patch);

/**
 * @brief w -= factor * (e (x - x_zero)^T), by the update rule; rows without an error are skipped.
 *
 * @param[in]     g        sizes; x_zero is the zero point of x
 * @param[in]     x        the layer's input, [inputs]
 * @param[in]     e        error of its output, [out]
 * @param[in]     factor   gradient to 1/65536 weight steps, [out]
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the random numbers
 * @param[in]     step     number of the training step
 * @param[in]     tensor   number of the weight tensor in the model
 * @param[in,out] w        weights, [out][inputs]
 * @param[in,out] residual the rule's residual bits, one row per output, or NULL
 * @param[in,out] w_scale  [out]; grows where a weight saturated
 *
 * MACs: inputs * outputs with an error. Stack: MCG_BLOCK words, the rule. Reference:
 * ops/linear.py::linear_update.
 */
void mcg_linear_update(const mcg_linear_t *g, const int8_t *x, const int8_t *e, const mcg_scale_t *factor,
                       const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step, uint32_t tensor,
                       int8_t *w, uint8_t *residual, float *w_scale);

/**
 * @brief bias[o] -= rate * c / w_scale[o] * sum of e[.][o].
 *
 * @param[in]     pixels   errors per channel
 * @param[in]     channels output channels
 * @param[in]     e        error of the layer's output, [pixels][channels]
 * @param[in]     rate     learning rate
 * @param[in]     c        unit of the error
 * @param[in]     w_scale  [channels], as it was when the error was computed
 * @param[in,out] bias     [channels], real units
 *
 * MACs: none. Scratch: none. Reference: ops/update.py::bias_update.
 */
void mcg_bias_update(int32_t pixels, int32_t channels, const int8_t *e, const float *rate, const float *c,
                     const float *w_scale, float *bias);

/* -- Factors and ranges: scalars per tensor or channel
 * ------------------------------------------------------- */

/**
 * @brief scale[o] = x_scale / y_scale * w_scale[o]; bias_acc[o] = bias[o] / (x_scale * w_scale[o]), rounded.
 *
 * @param[in]  channels output channels
 * @param[in]  x_scale  real units per step of the input
 * @param[in]  w_scale  real units per step of the weights, [channels]
 * @param[in]  bias     real units, [channels]
 * @param[in]  y_scale  real units per step of the output
 * @param[out] scale    accumulator to output, [channels]
 * @param[out] bias_acc accumulator units, [channels], saturated to +-2^29
 *
 * MACs: none. Scratch: none. Reference: ops/weighted.py::prepare_s8.
 */
void mcg_prepare_s8(int32_t channels, const float *x_scale, const float *w_scale, const float *bias,
                    const float *y_scale, mcg_scale_t *scale, int32_t *bias_acc);

/**
 * @brief clip = bounds / scale, rounded.
 *
 * @param[in]  bounds bounds of an activation function, [2], real units; +-3e38 for none
 * @param[in]  scale  real units per step of its output
 * @param[out] clip   [2], steps from the zero point, within +-2^30
 *
 * MACs: none. Scratch: none. Reference: ops/ranges.py::prepare_clip.
 */
void mcg_prepare_clip(const float *bounds, const float *scale, int32_t *clip);

/**
 * @brief scale[o] = 127 / range * w_scale[o]: accumulator to stored error.
 *
 * @param[in]  channels channels of the layer that the error goes back to
 * @param[in]  range    of the error, relative to the error that it is computed from
 * @param[in]  w_scale  weight scales of that layer, [channels]
 * @param[out] scale    [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/ranges.py::prepare_error.
 */
void mcg_prepare_error(int32_t channels, const float *range, const float *w_scale, mcg_scale_t *scale);

/**
 * @brief factor[o] = 65536 * rate * c * x_scale / w_scale[o]^2: gradient to 1/65536 weight steps.
 *
 * @param[in]  channels output channels
 * @param[in]  rate     learning rate
 * @param[in]  c        unit of the error of the layer's output
 * @param[in]  x_scale  real units per step of the layer's input
 * @param[in]  w_scale  real units per step of the weights, [channels]
 * @param[out] factor   [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/update.py::prepare_update.
 */
void mcg_prepare_update(int32_t channels, const float *rate, const float *c, const float *x_scale,
                        const float *w_scale, mcg_scale_t *factor);

/**
 * @brief Unit of an error just computed; then its range follows: up at once, down by 2^-7.
 *
 * @param[in]     peak  largest magnitude of the error before saturation
 * @param[in]     c     unit of the error that it was computed from
 * @param[in,out] range used for this step; for the next one afterwards
 * @param[out]    c_x   unit of the error: c * range / 127, with the range of this step
 *
 * MACs: none. Scratch: none. Reference: ops/ranges.py::track_error.
 */
void mcg_track_error(const int32_t *peak, const float *c, float *range, float *c_x);

/**
 * @brief Scale of an activation for the next step: up at once, down by 2^-10.
 *
 * @param[in]     levels steps above the zero point: 255 when it is -128, 127 when it is 0
 * @param[in]     peak   largest magnitude of the activation before saturation
 * @param[in,out] scale  real units per step
 *
 * MACs: none. Scratch: none. Reference: ops/ranges.py::track_scale.
 */
void mcg_track_scale(int32_t levels, const int32_t *peak, float *scale);

/**
 * @brief step += 1, modulo 2^32.
 *
 * @param[in,out] step training steps so far
 *
 * MACs: none. Scratch: none. Reference: ops/ranges.py::next_step.
 */
void mcg_next_step(uint32_t *step);

/* -- Parts of kernels
 * ---------------------------------------------------------------------------------------- */

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
 * @brief Accumulators of neighbouring channels to int8 outputs.
 *
 * @param[in]  acc   [count], below 2^30 in magnitude
 * @param[in]  scale [count]
 * @param[in]  clip  bounds, relative to zero
 * @param[in]  zero  zero point of the output
 * @param[in]  count number of channels
 * @param[out] y     [count]
 * @return largest magnitude after clipping, before saturation
 */
int32_t mcg_output_s8(const int32_t *acc, const mcg_scale_t *scale, const int32_t *clip, int32_t zero,
                      int32_t count, int8_t *y);

/**
 * @brief acc[i] += sum of e[o] * w[o * pitch + i] over o, for i below count; rows with e[o] = 0 are not read.
 *
 * @param[in]     e        [channels], in [-127, 127]
 * @param[in]     channels number of rows
 * @param[in]     w        first element of the first row, in [-127, 127]
 * @param[in]     pitch    elements from row to row
 * @param[in]     count    elements of a row that take part
 * @param[in,out] acc      [count]
 *
 * Stack: MCG_BLOCK + 4 pointers and bytes.
 */
void mcg_spread_s8(const int8_t *e, int32_t channels, const int8_t *w, int32_t pitch, int32_t count,
                   int32_t *acc);

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
 * @brief Applies the gradients of one row of weights; the row's scale grows if a weight saturated.
 *
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     gradient [count]
 * @param[in]     count    weights of a row
 * @param[in]     o        number of the row
 * @param[in]     factor   of all rows
 * @param[in]     stream   counter at which the tensor's random words begin: mcg_stream
 * @param[in,out] w        weights of all rows
 * @param[in,out] residual residual bits of all rows, or NULL
 * @param[in,out] w_scale  of all rows
 */
void mcg_update_row(const mcg_rule_t *rule, const int32_t *gradient, int32_t count, int32_t o,
                    const mcg_scale_t *factor, uint32_t stream, int8_t *w, uint8_t *residual, float *w_scale);

/**
 * @brief Random numbers: four from each 32-bit word, the low and high half of it and of it turned by 8 bits.
 *
 * @param[in]  counter of the first word
 * @param[in]  count   numbers wanted
 * @param[out] random  [count rounded up to a multiple of 4]
 */
void mcg_random_u16(uint32_t counter, int32_t count, uint16_t *random);

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

/** sr8: int8 weights, rounded at random. */
extern const mcg_rule_t mcg_rule_sr8;

/** sr16: int8 weights with 8 residual bits each, rounded to nearest. */
extern const mcg_rule_t mcg_rule_sr16;

#endif /* MCG_KERNELS_H */
