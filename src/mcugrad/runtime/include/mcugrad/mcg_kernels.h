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

/** Slopes of tabulated activation functions are in 1/16384; at most 2 in magnitude. */
#define MCG_SLOPE_ONE 16384.0F
#define MCG_SLOPE_LIMIT 32767

/** A scale that a table depends on grows by MCG_GROWTH, and by its inverse when less than this is in use. */
#define MCG_FILL_LEAST 0.5F

/** Smallest range of a sum of errors; below it, its factors would leave their format. */
#define MCG_LEAST_RANGE 2.0F

/** Factors of a sum of activations saturate here. */
#define MCG_FACTOR_LIMIT ((int32_t)1 << 21)
/** They are given this many bits more than the 16 of mcg_scale_t: 255 * (2^21 + 2^21) is still below 2^30. */
#define MCG_FACTOR_BITS 5

/** A clip bound that never clips: no accumulator reaches it. */
#define MCG_UNBOUNDED ((int32_t)1 << 30)

/** The same factor for all elements that a kernel handles at a time. */
static inline void mcg_fill_scale(mcg_scale_t *block, mcg_scale_t scale)
{
    for (int32_t i = 0; i < MCG_BLOCK; i++) {
        block[i] = scale;
    }
}

/**
 * How many of `channels` a partial update is to keep: (low + ratio (high - low)) channels, at least 1.
 * A ratio that is no number counts as 0.
 */
static inline float mcg_select_wanted(int32_t channels, const float *limits, float ratio)
{
    float share = limits[0] + ratio * (limits[1] - limits[0]);
    if (!(share >= limits[0])) {
        share = limits[0];
    }
    share = share < 1.0F ? share * (float)channels : (float)channels;
    return share > 1.0F ? share : 1.0F;
}

/** Repeats one factor of an output for all channels. */
static inline void mcg_fill_factor(float *block, float factor)
{
    for (int32_t i = 0; i < MCG_BLOCK; i++) {
        block[i] = factor;
    }
}

/** A range that shrinks by `rate`, but not below the part of it that was in use. */
static inline float mcg_decay(float range, float fill, float rate)
{
    const float slow = range - range * rate;
    const float now = range * fill;
    return slow > now ? slow : now;
}

/* -- Zero points of weights: w (x - x_zero) = q (x - x_zero) - w_zero * (the sum of x - x_zero)
 * ------------------------------------------------------------------------------------------------- */

/** What a zero point of weights takes away from sums of products. */
static inline void mcg_lower(int32_t less, int32_t count, int32_t *acc)
{
    for (int32_t i = 0; i < count; i++) {
        acc[i] -= less;
    }
}

/** The sum of `count` values, from their zero point. */
int32_t mcg_sum_s8(const int8_t *x, int32_t zero, int32_t count);

/** The sum of what a window at output (y, x) reads: rows y * stride_h - pad_top + ky * dilation_h of the map,
 * and columns likewise, that exist. */
int32_t mcg_window_sum_s8(const mcg_conv2d_t *g, const mcg_map_t *map, int32_t y, int32_t x);

/** The sum over all windows that reach (y, x), of what the map holds for each. */
int32_t mcg_reach_sum_s8(const mcg_conv2d_t *g, const mcg_map_t *map, int32_t y, int32_t x);

/* -- Forward
 * ------------------------------------------------------------------------------------------------- */

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
 *
 * MACs: out_h*out_w*out_c*k_h*k_w*in_c. Stack: MCG_BLOCK words. Reference: ops/conv2d.py::conv2d_s8.
 */
void mcg_conv2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                   const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                   int16_t *patch);

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
 *
 * MACs: inputs*out. Stack: 2 * MCG_BLOCK words. Reference: ops/linear.py::linear_s8.
 */
void mcg_linear_s8(const mcg_linear_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                   const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak);

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
 * @param[in]  smoothing   share of the target spread over all classes
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
                                  const float *scale, uint32_t label, const float *smoothing,
                                  const float *w_scale, const int32_t *clip, int8_t *e, float *c, float *loss,
                                  float *confidence, float *probability);

/**
 * @brief Multiplies the loss of a sample, and the unit of its error, by the weight of its class.
 *
 * @param[in]     label  class of the sample
 * @param[in]     weight per class
 * @param[in,out] c      unit of the output error
 * @param[in,out] loss   of the sample
 *
 * Reference: ops/softmax_cross_entropy.py::weigh_loss.
 */
void mcg_weigh_loss(uint32_t label, const float *weight, float *c, float *loss);

/**
 * @brief Cross-entropy towards what is wanted of each class, both at a temperature of 3, and its derivative.
 *
 * @param[in]  classes     number of classes, at most 65535
 * @param[in]  channels    output channels of the layer that made them; classes is a multiple
 * @param[in]  zero        zero point of the logits
 * @param[in]  logits      [classes]
 * @param[in]  scale       real units per step of the logits, not negative
 * @param[in]  soft        wanted, relative to their sum, [classes]; not all zero
 * @param[in]  w_scale     weight scales of that layer, [channels]: the error is stored divided by c / w_scale
 * @param[in]  clip        bounds of that layer's activation function; logits on or beyond them get no error
 * @param[out] e           error, [classes], in [-127, 127]
 * @param[out] c           unit of the error
 * @param[out] loss        cross-entropy in nats, times 9
 * @param[out] confidence  largest probability, without temperature
 * @param[out] ratio       half the sum of the differences of both distributions, in [0, 1]; NULL if not
 * wanted
 * @param[out] probability [classes]; holds the real error times w_scale afterwards
 *
 * MACs: none. Stack: none. Reference: ops/soft_cross_entropy.py::soft_cross_entropy_s8.
 */
void mcg_soft_cross_entropy_s8(int32_t classes, int32_t channels, int32_t zero, const int8_t *logits,
                               const float *scale, const uint8_t *soft, const float *w_scale,
                               const int32_t *clip, int8_t *e, float *c, float *loss, float *confidence,
                               float *ratio, float *probability);

/**
 * @brief Probabilities at a temperature of 3, relative to the largest one, as a soft target keeps them.
 *
 * @param[in]  classes number of classes
 * @param[in]  logits  [classes]
 * @param[in]  scale   real units per step of the logits
 * @param[out] soft    [classes]; the largest is 255, if the scale is a number
 *
 * Reference: ops/soft_cross_entropy.py::soften_s8.
 */
void mcg_soften_s8(int32_t classes, const int8_t *logits, const float *scale, uint8_t *soft);

/* -- Errors of inputs
 * ---------------------------------------------------------------------------------------- */

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
 *
 * MACs: as forward, without those of zero errors. Stack: MCG_BLOCK words and mcg_spread_s8. Reference:
 * ops/conv2d.py::conv2d_grad_input_s8.
 */
void mcg_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                              const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                              const int32_t *clip, int8_t *e_x, int32_t *peak);

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
 * ops/linear.py::linear_grad_input_s8.
 */
void mcg_linear_grad_input_s8(const mcg_linear_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                              const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                              const int32_t *clip, int8_t *e_x, int32_t *peak);

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
 * @param[in]     active   channels that take part: e holds these alone; NULL for all
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
void mcg_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                       float *w_scale, int32_t *gradient, int16_t *patch);

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
 * @param[in]     tensor   number of the weight tensor in the model
 * @param[in,out] w        weights, [out][inputs]
 * @param[in,out] residual the rule's residual bits, one row per output, or NULL
 * @param[in,out] w_scale  [out]; grows where a weight saturated
 *
 * MACs: inputs * outputs with an error. Stack: MCG_BLOCK words, the rule. Reference:
 * ops/linear.py::linear_update.
 */
void mcg_linear_update(const mcg_linear_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int8_t *w, uint8_t *residual, float *w_scale);

/**
 * @brief bias[o] -= rate * c / w_scale[o] * sum of e[.][o].
 *
 * @param[in]     pixels   errors per channel
 * @param[in]     channels output channels
 * @param[in]     e        error of the layer's output, [pixels][channels]
 * @param[in]     active   channels that take part: e holds these alone; NULL for all
 * @param[in]     rate     learning rate
 * @param[in]     c        unit of the error
 * @param[in]     w_scale  [channels], as it was when the error was computed
 * @param[in,out] bias     [channels], real units
 *
 * MACs: none. Scratch: none. Reference: ops/update.py::bias_update.
 */
void mcg_bias_update(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                     const float *rate, const float *c, const float *w_scale, float *bias);

/* -- Partial updates: which channels of a layer take part
 * ------------------------------------------------------------------- */

/**
 * @brief ratio = loss / largest loss so far, which grows to this one first; 0 where that is 0.
 *
 * @param[in]     loss    of the sample
 * @param[in,out] largest loss so far
 * @param[out]    ratio   how wrong the network is, compared with the worst
 *
 * MACs: none. Scratch: none. Reference: ops/select.py::select_ratio.
 */
void mcg_select_ratio(const float *loss, float *largest, float *ratio);

/**
 * @brief Importance of every channel: the sum of the magnitudes of its errors.
 *
 * @param[in]  pixels   errors per channel
 * @param[in]  channels output channels of the layer
 * @param[in]  e        error of its output, [pixels][channels], in [-127, 127]
 * @param[out] sum      of magnitudes, [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/select.py::select_sums_s8.
 */
void mcg_select_sums_s8(int32_t pixels, int32_t channels, const int8_t *e, int32_t *sum);

/**
 * @brief 64 times the square root of every sum, rounded down.
 *
 * @param[in]  channels number of channels, at most 65535
 * @param[in]  sum      importance, [channels]; all together below 2^30
 * @param[out] root     of it, [channels]; all together below 2^30
 *
 * MACs: none. Scratch: none. Reference: ops/select.py::select_roots_s32.
 */
void mcg_select_roots_s32(int32_t channels, const int32_t *sum, int32_t *root);

/**
 * @brief Lists the channels with the largest sums, of equal ones the first; those without an error never.
 *
 * @param[in]  channels number of channels, at most 65535
 * @param[in]  limits   smallest and largest share of channels, [2], in (0, 1]
 * @param[in]  ratio    where between them, in [0, 1]
 * @param[in]  sum      importance, [channels]
 * @param[out] active   list of channels, [1 + channels]
 *
 * MACs: none. Scratch: none. Reference: ops/select.py::select_topk.
 */
void mcg_select_topk(int32_t channels, const float *limits, const float *ratio, const int32_t *sum,
                     uint16_t *active);

/**
 * @brief Draws channels with odds in proportion to their sums.
 *
 * @param[in]  channels number of channels, at most 65535
 * @param[in]  limits   smallest and largest share of channels, [2], in (0, 1]
 * @param[in]  ratio    where between them, in [0, 1]
 * @param[in]  seed     of the random numbers
 * @param[in]  step     number of the training step
 * @param[in]  tensor   number of the error tensor in the model
 * @param[in]  sum      importance, [channels]; all together below 2^30
 * @param[out] active   list of channels, [1 + channels]
 * @param[out] odds     of those listed, in 1/65536, [channels], in the order of the list
 *
 * MACs: none. Scratch: none. Reference: ops/select.py::select_sampled.
 */
void mcg_select_sampled(int32_t channels, const float *limits, const float *ratio, const uint32_t *seed,
                        const uint32_t *step, uint32_t tensor, const int32_t *sum, uint16_t *active,
                        int32_t *odds);

/**
 * @brief What the errors of drawn channels count: 1 / odds, in a unit that makes the largest of them 127.
 *
 * @param[in]     pixels   errors per channel
 * @param[in]     channels output channels of the layer
 * @param[in]     e        error of its output, [pixels][channels], in [-127, 127]
 * @param[in]     active   list of channels; each has an error
 * @param[in]     c        unit of the error
 * @param[in,out] factor   odds of those listed, in 1/65536; then error to kept error in 1/65536
 * @param[out]    unit     of the kept error
 *
 * MACs: none. Scratch: none. Reference: ops/select.py::select_unit_s8.
 */
void mcg_select_unit_s8(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                        const float *c, int32_t *factor, float *unit);

/**
 * @brief Counts the channels that take part, layer by layer; their share when all layers have been counted.
 *
 * @param[in]  whole      channels that take part in any case, counted with this layer's
 * @param[in]  structures channels of all layers that train
 * @param[in]  active     list of this layer's channels
 * @param[in]  before     count so far; NULL for none
 * @param[out] count      with this layer
 * @param[out] rate       share of the structures
 *
 * MACs: none. Scratch: none. Reference: ops/select.py::select_share.
 */
void mcg_select_share(int32_t whole, int32_t structures, const uint16_t *active, const int32_t *before,
                      int32_t *count, float *rate);

/**
 * @brief The errors of the listed channels, side by side.
 *
 * @param[in]  pixels   errors per channel
 * @param[in]  channels output channels of the layer
 * @param[in]  e        error of its output, [pixels][channels]
 * @param[in]  active   list of channels
 * @param[out] kept     [pixels][active[0]]; must not overlap e
 *
 * MACs: none. Scratch: none. Reference: ops/select.py::select_copy_s8.
 */
void mcg_select_copy_s8(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                        int8_t *kept);

/**
 * @brief The errors of the listed channels, side by side, each times its channel's factor, rounded at random.
 *
 * @param[in]  pixels   errors per channel
 * @param[in]  channels output channels of the layer
 * @param[in]  e        error of its output, [pixels][channels], in [-127, 127]
 * @param[in]  active   list of channels
 * @param[in]  factor   in 1/65536, in the order of the list
 * @param[in]  seed     of the random numbers
 * @param[in]  step     number of the training step
 * @param[in]  tensor   number of the kept error's tensor in the model
 * @param[out] kept     [pixels][active[0]], in [-127, 127]; must not overlap e
 *
 * MACs: none. Stack: MCG_BLOCK half-words. Reference: ops/select.py::select_scale_s8.
 */
void mcg_select_scale_s8(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                         const int32_t *factor, const uint32_t *seed, const uint32_t *step, uint32_t tensor,
                         int8_t *kept);

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
 * @param[out] scale    factors, accumulator to output, [channels]
 * @param[out] bias_acc accumulator units, [channels], saturated to +-2^29
 *
 * MACs: none. Scratch: none. Reference: ops/weighted.py::prepare_s8.
 */
void mcg_prepare_s8(int32_t channels, const float *x_scale, const float *w_scale, const float *bias,
                    const float *y_scale, float *scale, int32_t *bias_acc);

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
 * @brief factor[o] = 65536 * rate * c * x_scale / (w_scale[o] * to_scale[o]): gradient to 1/65536 steps.
 *
 * @param[in]  channels output channels
 * @param[in]  active   channels that take part, NULL for all; others get no factor
 * @param[in]  rate     learning rate
 * @param[in]  c        unit of the error of the layer's output
 * @param[in]  x_scale  real units per step of the layer's input
 * @param[in]  w_scale  real units per step of the weights, [channels]
 * @param[in]  to_scale real units per step of what changes, [channels]: the weights, or a plane of changes
 * @param[out] factor   [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/update.py::prepare_update.
 */
void mcg_prepare_update(int32_t channels, const uint16_t *active, const float *rate, const float *c,
                        const float *x_scale, const float *w_scale, const float *to_scale,
                        mcg_scale_t *factor);

/**
 * @brief mean = rate / batch: with it a batch's changes add up to those of the mean gradient.
 *
 * @param[in]  rate  learning rate
 * @param[in]  batch samples of a batch
 * @param[out] mean  rate for each of them
 *
 * MACs: none. Scratch: none. Reference: ops/update.py::mean_rate.
 */
void mcg_mean_rate(const float *rate, int32_t batch, float *mean);

/**
 * @brief Some kept changes as integers: in 1/256 of the plane's scale, or whole ones where residual is NULL.
 *
 * @param[in]  change   [count]
 * @param[in]  residual [count], or NULL for a plane of 8 bits
 * @param[in]  count    number of changes
 * @param[out] value    [count], at most 32640 in magnitude
 */
void mcg_change_block(const int8_t *change, const uint8_t *residual, int32_t count, int32_t *value);

/**
 * @brief At the end of a batch: w += the changes kept of it, by the update rule; they are kept on by
 * momentum.
 *
 * A plane of changes is stored as weights of sr8 or sr16 are, with a scale of its own per row, and filled by
 * the kernel that else updates the weights. Where less than an eighth of a row's range was in use, its scale
 * shrinks by 1/1.25, at every 16th batch.
 *
 * @param[in]     out      rows
 * @param[in]     count    weights of a row, at most 66,000
 * @param[in]     batch    samples of a batch
 * @param[in]     momentum share of a change that is kept, in 1/65536
 * @param[in]     clip     largest change of a row, in norms of the row and units of rate; NULL for none
 * @param[in]     rate     learning rate
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the random numbers
 * @param[in]     step     training steps so far
 * @param[in]     tensor   number of the weight tensor
 * @param[in,out] w        [out][count]
 * @param[in,out] residual the rule's residual bits, one row per output channel, or NULL
 * @param[in,out] w_scale  [out]
 * @param[in,out] change   [out][count]
 * @param[in,out] change_residual [out][count], or NULL for a plane of 8 bits
 * @param[in,out] change_scale [out]
 * @param[out]    kept     share of each row's change that clipping left, [out]; NULL where clip is
 *
 * MACs: none. Stack: 3 MCG_BLOCK words, the rule. Reference: ops/apply.py::apply_update.
 */
void mcg_apply_update(int32_t out, int32_t count, int32_t batch, int32_t momentum, const float *clip,
                      const float *rate, const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step,
                      uint32_t tensor, int8_t *w, uint8_t *residual, float *w_scale, int8_t *change,
                      uint8_t *change_residual, float *change_scale, float *kept);

/**
 * @brief At the end of a batch: bias += the changes kept of it; they are kept on by momentum.
 *
 * @param[in]     channels number of biases
 * @param[in]     batch    samples of a batch
 * @param[in]     momentum share of a change that is kept, in 1/65536
 * @param[in]     step     training steps so far
 * @param[in]     kept     share of each change that clipping left, [channels]; NULL for all of it
 * @param[in,out] change   [channels]
 * @param[in,out] bias     [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/apply.py::apply_bias.
 */
void mcg_apply_bias(int32_t channels, int32_t batch, int32_t momentum, const uint32_t *step,
                    const float *kept, float *change, float *bias);

/**
 * @brief w -= rate * decay * w. Each step takes every MCG_DECAY_TURNS-th row, and so many times as much of
 * it.
 *
 * @param[in]     out      rows
 * @param[in]     count    weights of a row
 * @param[in]     decay    weight decay
 * @param[in]     rate     learning rate
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the random numbers
 * @param[in]     step     training steps so far
 * @param[in]     tensor   number of the weight tensor
 * @param[in,out] w        [out][count]
 * @param[in,out] residual the rule's residual bits, one row per output channel, or NULL
 *
 * MACs: none. Stack: 2 MCG_BLOCK words, the rule. Reference: ops/update.py::decay_weights.
 */
void mcg_decay_weights(int32_t out, int32_t count, const float *decay, const float *rate,
                       const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step, uint32_t tensor,
                       int8_t *w, uint8_t *residual);

/**
 * @brief At the end of a batch: weights move by standardized gradients, and get the scale and the zero point
 * that their range asks for.
 *
 * @param[in]     out      rows
 * @param[in]     count    weights of a row
 * @param[in]     batch    samples of a batch
 * @param[in]     rate     learning rate
 * @param[in]     step     training steps so far
 * @param[in,out] w        [out][count]
 * @param[in,out] w_scale  [out], all the same
 * @param[in,out] w_zero   zero point, one for all
 * @param[in,out] change   minus the mean gradient, [out][count]; 0 afterwards
 * @param[in,out] change_residual [out][count], or NULL for a plane of 8 bits
 * @param[in,out] change_scale [out]
 * @param[in,out] mean     moving average of each row's mean, [out]
 * @param[in,out] deviation moving average of each row's standard deviation, [out]
 *
 * MACs: none. Stack: 2 MCG_BLOCK words. Reference: ops/apply.py::apply_standardized.
 */
void mcg_apply_standardized(int32_t out, int32_t count, int32_t batch, const float *rate,
                            const uint32_t *step, int8_t *w, float *w_scale, int32_t *w_zero, int8_t *change,
                            uint8_t *change_residual, float *change_scale, float *mean, float *deviation);

/**
 * @brief Unit of an error just computed; then its range follows: up at once, down by 2^-7.
 *
 * @param[in]     peak  largest magnitude of the error before saturation
 * @param[in]     c     unit of the error that it was computed from
 * @param[in,out] range used for this step; for the next one afterwards
 * @param[out]    c_x   unit of the error: c * range / 127, with the range of this step
 * @param[in,out] saturated one more if the error saturated
 *
 * MACs: none. Scratch: none. Reference: ops/ranges.py::track_error.
 */
void mcg_track_error(const int32_t *peak, const float *c, float *range, float *c_x, int32_t *saturated);

/**
 * @brief Scale of an activation for the next step: up at once, down by 2^-10.
 *
 * @param[in]     levels steps above the zero point: 255 when it is -128, 127 when it is 0
 * @param[in]     peak   largest magnitude of the activation before saturation
 * @param[in,out] scale  real units per step
 * @param[in,out] saturated one more if the activation saturated
 *
 * MACs: none. Scratch: none. Reference: ops/ranges.py::track_scale.
 */
void mcg_track_scale(int32_t levels, const int32_t *peak, float *scale, int32_t *saturated);

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

/**
 * @brief Value and slope of a function at z: point[0] and point[1].
 *
 * @param[in] function which one, an mcg_function_t
 * @param[in] alpha, beta its parameters, where it has some
 *
 * Reference: ops/curves.py::curve.
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
 * MACs: none. Scratch: real. Reference: ops/activation.py::prepare_table.
 */
void mcg_prepare_table(const mcg_activation_t *g, const float *parameters, const float *x_scale,
                       float *made_for, int8_t *value, int16_t *slope, float *y_scale, float *real);

/**
 * @brief y = value[x + 128].
 *
 * @param[in]  count number of elements
 * @param[in]  x     input, [count]
 * @param[in]  value table, [256]
 * @param[out] y     output, [count]
 *
 * MACs: none. Scratch: none. Reference: ops/activation.py::lookup_s8.
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
 * @param[out] e_x   error of the input, [count], in [-127, 127]
 * @param[out] peak  largest magnitude of e_x before saturation
 *
 * MACs: count. Scratch: none. Reference: ops/activation.py::lookup_grad_s8.
 */
void mcg_lookup_grad_s8(int32_t count, const int8_t *e, const int8_t *x, const int16_t *slope,
                        const mcg_scale_t *scale, int8_t *e_x, int32_t *peak);

/**
 * @brief Scale of an activation that a table depends on, for the next step: in steps of 1.25, so that it
 * seldom changes.
 *
 * @param[in]     levels steps above the zero point: 255 when it is -128, 127 when it is 0
 * @param[in]     peak   largest magnitude of the activation before saturation
 * @param[in,out] fill   share of the levels in use: up at once, down by 2^-10 a step
 * @param[in,out] scale  real units per step: times 1.25 while fill is above 1, times 0.8 when it is below 0.5
 * @param[in,out] saturated one more if the activation saturated
 *
 * MACs: none. Scratch: none. Reference: ops/ranges.py::track_scale_steps.
 */
void mcg_track_scale_steps(int32_t levels, const int32_t *peak, float *fill, float *scale,
                           int32_t *saturated);

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
 * MACs: none. Scratch: none. Reference: ops/prelu.py::prepare_prelu.
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
 * @param[out] y        output, [count]
 * @param[out] peak     largest |output - y_zero| before saturation to int8
 *
 * MACs: count. Scratch: none. Reference: ops/prelu.py::prelu_s8.
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
 * @param[out] e_x      error of the input, [count], in [-127, 127]
 * @param[out] peak     largest magnitude of e_x before saturation
 *
 * MACs: count. Scratch: none. Reference: ops/prelu.py::prelu_grad_s8.
 */
void mcg_prelu_grad_s8(int32_t count, int32_t channels, int32_t x_zero, const int8_t *e, const int8_t *x,
                       const int32_t *factor, const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                       int32_t *peak);

/* -- Convolutions of other kinds: depthwise, grouped, transposed */

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
 * @param[out] y     output, [out_h][out_w][out_c]; must not overlap x
 * @param[out] peak  largest |output - y_zero| after clipping, before saturation to int8
 * @param[out] packed scratch, [k_h * k_w][at most MCG_BLOCK channels]
 *
 * MACs: out_h*out_w*out_c*k_h*k_w. Stack: 600 bytes. Reference: ops/depthwise_conv2d.py::depthwise_conv2d_s8.
 */
void mcg_depthwise_conv2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
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
 *
 * MACs: out_h*out_w*out_c*k_h*k_w. Stack: MCG_BLOCK words and rows of bytes. Reference:
 * ops/depthwise_conv2d.py::depthwise_conv2d_grad_input_s8.
 */
void mcg_depthwise_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
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
 * @param[in]     tensor   number of the weight tensor, for its random numbers
 * @param[in]     rows     channels whose gradients exist at a time, at most MCG_BLOCK
 * @param[in,out] w        weights, [out_c][k_h][k_w]
 * @param[in,out] residual residual bits, or NULL
 * @param[in,out] w_scale  real units per step, [out_c]
 * @param[out]    gradient scratch, [rows + 1][k_h * k_w]
 *
 * MACs: out_h*out_w*out_c*k_h*k_w. Reference: ops/depthwise_conv2d.py::depthwise_conv2d_update.
 */
void mcg_depthwise_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e,
                                 const uint16_t *active, const mcg_scale_t *factor, const mcg_rule_t *rule,
                                 const uint32_t *seed, const uint32_t *step, uint32_t tensor, int32_t rows,
                                 int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient);

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
 * ops/grouped_conv2d.py::grouped_conv2d_s8.
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
 * ops/grouped_conv2d.py::grouped_conv2d_grad_input_s8.
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
 * @param[in]     tensor   number of the weight tensor, for its random numbers
 * @param[in]     rows     output channels whose gradients exist at a time
 * @param[in,out] w        weights, [out_c][k_h][k_w][in_c / groups]
 * @param[in,out] residual residual bits, or NULL
 * @param[in,out] w_scale  real units per step, [out_c]
 * @param[out]    gradient scratch, [rows][k_h * k_w * in_c / groups]
 * @param[out]    patch    scratch, [k_h * k_w * in_c / groups]
 *
 * MACs: out_h*out_w*out_c*k_h*k_w*in_c/groups. Reference: ops/grouped_conv2d.py::grouped_conv2d_update.
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
 * ops/conv_transpose2d.py::conv_transpose2d_s8.
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
 * ops/conv_transpose2d.py::conv_transpose2d_grad_input_s8.
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
 * @param[in]     tensor   number of the weight tensor, for its random numbers
 * @param[in]     rows     output channels whose gradients exist at a time
 * @param[in,out] w        weights, [out_c][k_h][k_w][in_c]
 * @param[in,out] residual residual bits, or NULL
 * @param[in,out] w_scale  real units per step, [out_c]
 * @param[out]    gradient scratch, [rows][k_h * k_w * in_c]
 * @param[out]    patch    scratch, [in_c]
 *
 * MACs: in_h*in_w*in_c*k_h*k_w*out_c. Reference: ops/conv_transpose2d.py::conv_transpose2d_update.
 */
void mcg_conv_transpose2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e,
                                 const uint16_t *active, const mcg_scale_t *factor, const mcg_rule_t *rule,
                                 const uint32_t *seed, const uint32_t *step, uint32_t tensor, int32_t rows,
                                 int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                                 int16_t *patch);

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
 *
 * MACs: out_h*out_w*out_c*in_c. Stack: 2 * MCG_BLOCK words. Reference: ops/pointwise.py::pointwise_s8.
 */
void mcg_pointwise_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                      const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak);

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
 * @param[in]     tensor   number of the weight tensor, for its random numbers
 * @param[in]     rows     output channels whose gradients exist at a time, at most MCG_BLOCK
 * @param[in,out] w        weights, [out_c][in_c]
 * @param[in,out] residual residual bits, or NULL
 * @param[in,out] w_scale  real units per step, [out_c]
 * @param[out]    gradient scratch, [rows][in_c]
 *
 * MACs: out_h*out_w*out_c*in_c. Stack: MCG_BLOCK words. Reference: ops/pointwise.py::pointwise_update.
 */
void mcg_pointwise_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                          const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                          const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                          float *w_scale, int32_t *gradient);

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

/** sr8: int8 weights, rounded at random. */
extern const mcg_rule_t mcg_rule_sr8;

/** sr10: int8 weights with 2 residual bits each, four in a byte, rounded at random. */
extern const mcg_rule_t mcg_rule_sr10;

/** sr12: int8 weights with 4 residual bits each, two in a byte, rounded at random. */
extern const mcg_rule_t mcg_rule_sr12;

/** sr16: int8 weights with 8 residual bits each, rounded to nearest. */
extern const mcg_rule_t mcg_rule_sr16;

/** qas: int8 weights, steps rounded to nearest, in a range that stays. */
extern const mcg_rule_t mcg_rule_qas;

/* -- Sums, products, parts, averages; errors that change their scale ------------------------------------- */

/**
 * @brief Factors from one error to another that carries other scales.
 *
 * @param[in]  channels   factors wanted
 * @param[in]  e_channels scales that e carries; they repeat
 * @param[in]  x_channels scales that e_x carries; they repeat
 * @param[in]  range      range of e_x, relative
 * @param[in]  e_scale    weight scales that e carries, [e_channels]
 * @param[in]  e_x_scale  weight scales that e_x carries, [x_channels]
 * @param[out] scale      127 / range * e_x_scale[o % x_channels] / e_scale[o % e_channels], [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/errors.py::prepare_error_ratio.
 */
void mcg_prepare_error_ratio(int32_t channels, int32_t e_channels, int32_t x_channels, const float *range,
                             const float *e_scale, const float *e_x_scale, mcg_scale_t *scale);

/**
 * @brief e_x[r][i] = rescale(sign * e[r][offset + i]), masked by the activation function that made x.
 *
 * @param[in]  rows     rows of both
 * @param[in]  count    elements of a row of x
 * @param[in]  pitch    elements of a row of e
 * @param[in]  offset   first element of a row of e that counts
 * @param[in]  channels factors; they repeat over the elements of x
 * @param[in]  x_zero   zero point of x
 * @param[in]  sign     1 or -1
 * @param[in]  e        error, [rows][pitch], in [-127, 127]
 * @param[in]  x        activation that the error goes to, [rows][count]
 * @param[in]  scale    e to e_x, [channels]
 * @param[in]  clip     bounds of the activation function that made x, relative to its zero point
 * @param[out] e_x      error of x, [rows][count], in [-127, 127]
 * @param[out] peak     largest magnitude of e_x before saturation
 *
 * MACs: none. Scratch: none. Reference: ops/errors.py::rescale_error_s8.
 */
void mcg_rescale_error_s8(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t channels,
                          int32_t x_zero, int32_t sign, const int8_t *e, const int8_t *x,
                          const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak);

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
 * MACs: none. Scratch: none. Reference: ops/weighted.py::write_error.
 */
int32_t mcg_error_channels_s8(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                              int32_t channels, int32_t at, const int32_t *clip, int32_t count, int8_t *e);

/**
 * @brief unit = c * factor: what an accumulator counts in where a real number multiplies an error.
 *
 * @param[in]  c      unit of the error
 * @param[in]  factor real number
 * @param[out] unit   the product
 *
 * MACs: none. Scratch: none. Reference: ops/errors.py::scale_unit.
 */
void mcg_scale_unit(const float *c, const float *factor, float *unit);

/**
 * @brief Factor from a product of two quantities to an output: a_scale * b_scale / y_scale.
 *
 * @param[in]  a_scale real units per step of one
 * @param[in]  b_scale real units per step of the other
 * @param[in]  y_scale real units per step of the output
 * @param[out] scale   the factor
 *
 * MACs: none. Scratch: none. Reference: ops/mul.py::prepare_product.
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
 * @param[out] y      product, [count]
 * @param[out] peak   largest |y - y_zero| before saturation to int8
 *
 * MACs: count. Scratch: none. Reference: ops/mul.py::mul_s8.
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
 * @param[out] e_a      error of a, [count], in [-127, 127]
 * @param[out] peak     largest magnitude of e_a before saturation
 *
 * MACs: count. Scratch: none. Reference: ops/mul.py::mul_grad_a_s8.
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
 * MACs: count. Scratch: none. Reference: ops/mul.py::mul_grad_b_s8.
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
 * MACs: none. Scratch: none. Reference: ops/concat.py::concat_s8.
 */
void mcg_concat_s8(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t x_zero, int32_t y_zero,
                   const int8_t *x, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak);

/**
 * @brief Copy the elements of a part out of the whole.
 *
 * @param[in]  g     geometry
 * @param[in]  whole [whole_h][whole_w][whole_c]
 * @param[out] part  [part_h][part_w][part_c]
 *
 * MACs: none. Scratch: none. Reference: ops/slice.py::gather_s8.
 */
void mcg_gather_s8(const mcg_slice_t *g, const int8_t *whole, int8_t *part);

/**
 * @brief Copy a part to its place in the whole; everything else becomes `fill`.
 *
 * @param[in]  g     geometry
 * @param[in]  fill  value of the other elements
 * @param[in]  part  [part_h][part_w][part_c]
 * @param[out] whole [whole_h][whole_w][whole_c]
 *
 * MACs: none. Scratch: none. Reference: ops/slice.py::scatter_s8.
 */
void mcg_scatter_s8(const mcg_slice_t *g, int32_t fill, const int8_t *part, int8_t *whole);

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
 * MACs: none. Scratch: none. Reference: ops/upsample2d.py::upsample2d_s8.
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
 * MACs: none. Scratch: none. Reference: ops/upsample2d.py::upsample2d_grad_input_s8.
 */
void mcg_upsample2d_grad_input_s8(int32_t height, int32_t width, int32_t channels, int32_t factor_h,
                                  int32_t factor_w, int32_t x_zero, const int8_t *e, const int8_t *x,
                                  const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak);

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
 * MACs: none. Scratch: none. Reference: ops/avgpool2d.py::avgpool2d_s8.
 */
void mcg_avgpool2d_s8(const mcg_pool2d_t *g, int32_t grain, int32_t x_zero, int32_t y_zero, const int8_t *x,
                      const int32_t *weight_h, const int32_t *weight_w, const float *scale,
                      const int32_t *clip, int8_t *y, int32_t *peak);

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
 * MACs: none. Scratch: none. Reference: ops/avgpool2d.py::mean_s8.
 */
void mcg_mean_s8(int32_t outer, int32_t count, int32_t inner, int32_t x_zero, int32_t y_zero, const int8_t *x,
                 const float *scale, const int32_t *clip, int8_t *y, int32_t *peak);

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
 * MACs: none. Scratch: none. Reference: ops/avgpool2d.py::avgpool2d_grad_input_s8.
 */
void mcg_avgpool2d_grad_input_s8(const mcg_pool2d_t *g, int32_t x_zero, const int8_t *e, const int8_t *x,
                                 const int32_t *weight_h, const int32_t *weight_w, const mcg_scale_t *scale,
                                 const int32_t *clip, int8_t *e_x, int32_t *peak);

/**
 * @brief Factors of a sum of two errors, each with a unit of its own.
 *
 * @param[in]  a_c    unit of one
 * @param[in]  b_c    unit of the other
 * @param[in,out] range  range of the sum, relative; raised to MCG_LEAST_RANGE
 * @param[out] factor c / unit * 127 / range in 1/65536 for either error, [2]
 * @param[out] unit   the larger unit
 *
 * MACs: none. Scratch: none. Reference: ops/errors.py::prepare_error_sum.
 */
void mcg_prepare_error_sum(const float *a_c, const float *b_c, float *range, int32_t *factor, float *unit);

/**
 * @brief e = (a * factor[0] + b * factor[1]) / 65536, rounded half up, saturated to +-127.
 *
 * @param[in]  count  number of elements
 * @param[in]  a      error, [count], in [-127, 127]
 * @param[in]  b      error, [count], in [-127, 127]
 * @param[in]  factor [2]: of mcg_prepare_error_sum
 * @param[out] e      their sum, [count], in [-127, 127]
 * @param[out] peak   largest magnitude of e before saturation
 *
 * MACs: 2 count. Scratch: none. Reference: ops/errors.py::add_errors_s8.
 */
void mcg_add_errors_s8(int32_t count, const int8_t *a, const int8_t *b, const int32_t *factor, int8_t *e,
                       int32_t *peak);

/**
 * @brief Factors of a sum of two activations: a_scale / y_scale and sign * b_scale / y_scale in 2^-factor[2].
 *
 * @param[in]  sign    1 for a + b, -1 for a - b
 * @param[in]  a_scale real units per step of a
 * @param[in]  b_scale real units per step of b
 * @param[in]  y_scale real units per step of y
 * @param[out] factor  [3]; the larger of the first two fills 16 bits
 *
 * MACs: none. Scratch: none. Reference: ops/add.py::prepare_add.
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
 * @param[out] y      sum, [count]
 * @param[out] peak   largest |y - y_zero| before saturation to int8
 *
 * MACs: 2 count. Scratch: none. Reference: ops/add.py::add_s8.
 */
void mcg_add_s8(int32_t count, int32_t a_zero, int32_t b_zero, int32_t y_zero, const int8_t *a,
                const int8_t *b, const int32_t *factor, const int32_t *clip, int8_t *y, int32_t *peak);

/* -- Losses ---------------------------------------------------------------------------------------------- */

/**
 * @brief Quantizes the output error: scaled by what it carries, masked, its largest entry 127.
 *
 * @param[in]     outputs  number of outputs
 * @param[in]     channels number of scales; they repeat
 * @param[in]     zero     zero point of y
 * @param[in]     y        outputs, [outputs]
 * @param[in]     w_scale  scales that the error carries, [channels]
 * @param[in]     clip     bounds of the activation function that made y, [2]
 * @param[in,out] error    derivatives of the loss, real units, [outputs]; overwritten
 * @param[out]    e        error, [outputs]
 * @param[out]    c        its unit
 *
 * Reference: ops/output_error.py::write_output_error.
 */
void mcg_output_error_s8(int32_t outputs, int32_t channels, int32_t zero, const int8_t *y,
                         const float *w_scale, const int32_t *clip, float *error, int8_t *e, float *c);

/**
 * @brief Binary cross-entropy of several labels: loss and output error.
 *
 * @param[in]  outputs  number of labels
 * @param[in]  channels number of scales that the error carries; they repeat
 * @param[in]  zero     zero point of the logits
 * @param[in]  logits   [outputs]
 * @param[in]  scale    of the logits
 * @param[in]  target   not 0 where a label applies, [outputs]
 * @param[in]  w_scale  scales that the error carries, [channels]
 * @param[in]  clip     bounds of the activation function that made the logits, [2]
 * @param[out] e        error, [outputs]
 * @param[out] c        its unit
 * @param[out] loss     mean over labels, nats
 * @param[out] error    scratch, [outputs]
 *
 * Reference: ops/binary_cross_entropy.py::binary_cross_entropy_s8.
 */
void mcg_binary_cross_entropy_s8(int32_t outputs, int32_t channels, int32_t zero, const int8_t *logits,
                                 const float *scale, const uint8_t *target, const float *w_scale,
                                 const int32_t *clip, int8_t *e, float *c, float *loss, float *error);

/**
 * @brief Mean squared, mean absolute or Huber loss: loss and output error.
 *
 * @param[in]  outputs      number of outputs
 * @param[in]  channels     number of scales that the error carries; they repeat
 * @param[in]  y_zero       zero point of y
 * @param[in]  target_zero  zero point of the target
 * @param[in]  y            outputs, [outputs]
 * @param[in]  y_scale      scale of y
 * @param[in]  target       wanted outputs, [outputs]
 * @param[in]  target_scale scale of the target
 * @param[in]  linear       distance from which on the loss is linear: 0 for absolute, 1e38 or more for
 * squared
 * @param[in]  w_scale      scales that the error carries, [channels]
 * @param[in]  clip         bounds of the activation function that made y, [2]
 * @param[out] e            error, [outputs]
 * @param[out] c            its unit
 * @param[out] loss         mean over outputs
 * @param[out] error        scratch, [outputs]
 *
 * Reference: ops/regression.py::regression_loss_s8.
 */
void mcg_regression_loss_s8(int32_t outputs, int32_t channels, int32_t y_zero, int32_t target_zero,
                            const int8_t *y, const float *y_scale, const int8_t *target,
                            const float *target_scale, const float *linear, const float *w_scale,
                            const int32_t *clip, int8_t *e, float *c, float *loss, float *error);

/**
 * @brief Begin a training step: its learning rate by the schedule, and nothing saturated yet.
 *
 * @param[in]  schedule  how the rate runs
 * @param[in]  step      training steps so far
 * @param[out] rate      of this step
 * @param[out] saturated 0
 *
 * Reference: ops/life.py::begin_step.
 */
void mcg_begin_step(const mcg_schedule_t *schedule, const uint32_t *step, float *rate, int32_t *saturated);

/**
 * @brief Index of the largest value, the first one of several.
 *
 * @param[in]  count at least 1
 * @param[in]  x     [count]
 * @param[out] index of the largest
 *
 * Reference: ops/life.py::argmax_s8.
 */
void mcg_argmax_s8(int32_t count, const int8_t *x, uint32_t *index);

/**
 * @brief Running loss and accuracy, and drift of the share of wrong predictions.
 *
 * @param[in]     label     class of the sample
 * @param[in]     predicted class predicted before the step
 * @param[in]     loss      of the sample before the step; one that is not finite is left out
 * @param[in,out] watch     follows
 *
 * Reference: ops/life.py::watch_class.
 */
void mcg_watch_class(uint32_t label, const uint32_t *predicted, const float *loss, mcg_watch_t *watch);

/**
 * @brief Running loss, and drift of loss / (loss + running loss).
 *
 * @param[in]     loss  of the sample before the step; one that is not finite is left out
 * @param[in,out] watch follows; its accuracy stays
 *
 * Reference: ops/life.py::watch_loss.
 */
void mcg_watch_loss(const float *loss, mcg_watch_t *watch);

/**
 * @brief Drift of the uncertainty of predictions: one less the probability of the predicted class.
 *
 * @param[in]     classes number of classes
 * @param[in]     logits  [classes]
 * @param[in]     scale   of the logits
 * @param[in,out] drift   follows; what is not finite is left out
 *
 * Reference: ops/life.py::watch_confidence_s8.
 */
void mcg_watch_confidence_s8(int32_t classes, const int8_t *logits, const float *scale, mcg_drift_t *drift);

/**
 * @brief Where a sample goes in a class-balanced reservoir; nowhere, or the place of the one that has to
 * leave.
 *
 * @param[in]     capacity places, at least 1
 * @param[in]     classes  number of classes
 * @param[in]     stride   words from one place to the next; the first word of a place holds the class
 * @param[in]     label    class of the sample
 * @param[in]     seed     of the random numbers
 * @param[in]     memory   [capacity][stride]
 * @param[in,out] count    places in use
 * @param[in,out] added    samples offered so far
 * @param[in,out] seen     the same per class, [classes]
 * @param[in,out] held     samples in the reservoir per class, [classes]
 * @param[in,out] full     whether a class has been one of the largest since all places are in use, [classes]
 * @param[out]    slot     the place, -1 for none
 *
 * Reference: ops/replay.py::replay_slot.
 */
void mcg_replay_slot(int32_t capacity, int32_t classes, int32_t stride, uint32_t label, uint32_t seed,
                     const uint32_t *memory, uint32_t *count, uint32_t *added, uint32_t *seen, uint32_t *held,
                     uint8_t *full, int32_t *slot);

/**
 * @brief A sample shifted at random, its border repeated, multiplied, moved up or down, and with noise on
 * every value.
 *
 * @param[in]  height   rows of the map
 * @param[in]  width    its columns
 * @param[in]  channels its channels
 * @param[in]  zero     zero point
 * @param[in]  how      by how much; the count is not looked at
 * @param[in]  number   of the sample: what its random numbers come from
 * @param[in]  x        [height][width][channels]
 * @param[out] y        [height][width][channels]; must not overlap x
 *
 * Reference: ops/augment.py::augment_s8.
 */
void mcg_augment_s8(int32_t height, int32_t width, int32_t channels, int32_t zero, const mcg_augment_t *how,
                    uint32_t number, const int8_t *x, int8_t *y);

#endif /* MCG_KERNELS_H */
