/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kernels of every family share: numbers, parts that kernels are made of, errors on their way back. Sums
 * serve zero points of weights: w (x - x_zero) = q (x - x_zero) - w_zero * (the sum of x - x_zero).
 */
#ifndef MCG_CORE_H
#define MCG_CORE_H

#include "mcg_simd.h"
#include "mcg_structs.h"

/** Elements that a kernel handles at a time on the stack; a multiple of 4. */
#define MCG_BLOCK 64

/** Random numbers that a rule draws at a time: few where kernels call it from deep in the stack, and only for
 * what their own instructions cannot do. */
#define MCG_DRAWN (MCG_HAS_DSP ? 16 : MCG_BLOCK)

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

/** Errors with a smaller peak leave most of their range empty: it halves, while it is above the second
 * number. */
#define MCG_LEAST_PEAK 32
#define MCG_LEAST_RANGE 9.5367431640625e-7F

/** Smallest range times fill of a sum of errors; below it, its factors would leave their format. */
#define MCG_LEAST_REACH 2

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
 * How many of `channels` a partial update is to keep: (low + ratio (high - low)) channels, at most high of
 * them, since there is no room for more, and at least 1. A ratio that is no number counts as 0.
 */
static inline float mcg_select_wanted(int32_t channels, const float *limits, float ratio)
{
    float share = limits[0] + ratio * (limits[1] - limits[0]);
    if (!(share >= limits[0])) {
        share = limits[0];
    }
    share = share > limits[1] ? limits[1] : share;
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

/**
 * What an error of fill 1 is to be: its range times the fill of the error above, at least `least`. A fill is
 * the largest magnitude of an error as it is stored, of 127; the range is relative to it.
 */
static inline float mcg_error_reach(float range, float fill, float least)
{
    const float reach = range * fill;
    if (!(fill > 0.0F)) {
        return range;
    }
    return reach > least ? reach : least;
}

/** A range that shrinks by `rate`, but not below the part of it that was in use. */
static inline float mcg_decay(float range, float fill, float rate)
{
    const float slow = range - range * rate;
    const float now = range * fill;
    return slow > now ? slow : now;
}

/** What a zero point of weights takes away from sums of products. */
static inline void mcg_lower(int32_t less, int32_t count, int32_t *acc)
{
    for (int32_t i = 0; i < count; i++) {
        acc[i] -= less;
    }
}

/** x = (raw - middle) * scale + zero, rounded once, half up, and saturated: samples as converters give them.
 * Reference: ops/core/raw.py::quantize_raw. */
void mcg_quantize_s16(int32_t count, int32_t zero, int32_t middle, const mcg_scale_t *scale,
                      const int16_t *raw, int8_t *x);

/** The same of values without a sign. Reference: ops/core/raw.py::quantize_raw. */
void mcg_quantize_u16(int32_t count, int32_t zero, int32_t middle, const mcg_scale_t *scale,
                      const uint16_t *raw, int8_t *x);

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
 * @brief acc[i] += factor * (x[i] - zero) for a window of the input; what is padding adds nothing.
 *
 * @param[in]     g      geometry
 * @param[in]     x      input, [in_h][in_w][in_c]
 * @param[in]     out_y  row of the output
 * @param[in]     out_x  column of the output
 * @param[in]     factor an error, in [-127, 127]
 * @param[in,out] acc    [k_h][k_w][in_c]
 */
void mcg_add_window_s8(const mcg_conv2d_t *g, const int8_t *x, int32_t out_y, int32_t out_x, int32_t factor,
                       int32_t *acc);

/** The sum of `count` values, from their zero point. */
int32_t mcg_sum_s8(const int8_t *x, int32_t zero, int32_t count);

/** The sum of what a window at output (y, x) reads: rows y * stride_h - pad_top + ky * dilation_h of the map,
 * and columns likewise, that exist. */
int32_t mcg_window_sum_s8(const mcg_conv2d_t *g, const mcg_map_t *map, int32_t y, int32_t x);

/** The sum over all windows that reach (y, x), of what the map holds for each. */
int32_t mcg_reach_sum_s8(const mcg_conv2d_t *g, const mcg_map_t *map, int32_t y, int32_t x);

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
 * MACs: none. Scratch: none. Reference: ops/core/computation_s8.py::write_error.
 */
int32_t mcg_error_channels_s8(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                              int32_t channels, int32_t at, const int32_t *clip, int32_t count, int8_t *e);

/**
 * @brief Random numbers: four from each 32-bit word, the low and high half of it and of it turned by 8 bits.
 *
 * @param[in]  counter of the first word
 * @param[in]  count   numbers wanted
 * @param[out] random  [count rounded up to a multiple of 4]
 */
void mcg_random_u16(uint32_t counter, int32_t count, uint16_t *random);

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
 * MACs: none. Scratch: none. Reference: ops/core/layer_s8.py::prepare_s8.
 */
void mcg_prepare_s8(int32_t channels, const float *x_scale, const float *w_scale, const float *bias,
                    const float *y_scale, float *scale, int32_t *bias_acc);

/**
 * @brief Factors from one error to another that carries other scales.
 *
 * @param[in]  channels   factors wanted
 * @param[in]  e_channels scales that e carries; they repeat
 * @param[in]  x_channels scales that e_x carries; they repeat
 * @param[in]  range      range of e_x, relative
 * @param[in]  c          unit and fill of e, [2]
 * @param[in]  e_scale    weight scales that e carries, [e_channels]
 * @param[in]  e_x_scale  weight scales that e_x carries, [x_channels]
 * @param[out] scale      127 / (range * fill) * e_x_scale[o % x_channels] / e_scale[o % e_channels],
 * [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/core/gradients_s8.py::prepare_error_ratio.
 */
void mcg_prepare_error_ratio(int32_t channels, int32_t e_channels, int32_t x_channels, const float *range,
                             const float *c, const float *e_scale, const float *e_x_scale,
                             mcg_scale_t *scale);

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
 * @param[out] e_x      error of x, [rows][count], in [-127, 127]; may begin where e does
 * @param[out] peak     largest magnitude of e_x before saturation
 *
 * MACs: none. Scratch: none. Reference: ops/core/gradients_s8.py::rescale_error_s8.
 */
void mcg_rescale_error_s8(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t channels,
                          int32_t x_zero, int32_t sign, const int8_t *e, const int8_t *x,
                          const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak);

/**
 * @brief unit = c * factor: what an accumulator counts in where a real number multiplies an error.
 *
 * @param[in]  c      unit and fill of the error, [2]
 * @param[in]  factor real number
 * @param[out] unit   the product, and the same fill, [2]
 *
 * MACs: none. Scratch: none. Reference: ops/core/gradients_s8.py::scale_unit.
 */
void mcg_scale_unit(const float *c, const float *factor, float *unit);

/**
 * @brief Factors of a sum of two errors, each with a unit of its own.
 *
 * @param[in]  a_c    unit and fill of one, [2]
 * @param[in]  b_c    unit and fill of the other, [2]
 * @param[in]  range  range of the sum, relative to the larger of the two
 * @param[out] factor c / unit * 127 / max(range * fill, MCG_LEAST_REACH) in 1/65536 for either error, [2]; 0
 * for none
 * @param[out] unit   the larger unit, and the larger error in it, of 127, [2]; 0 where there is none
 *
 * MACs: none. Scratch: none. Reference: ops/core/gradients_s8.py::prepare_error_sum.
 */
void mcg_prepare_error_sum(const float *a_c, const float *b_c, const float *range, int32_t *factor,
                           float *unit);

/**
 * @brief e = (a * factor[0] + b * factor[1]) / 65536, rounded half up, saturated to +-127.
 *
 * @param[in]  count  number of elements
 * @param[in]  a      error, [count], in [-127, 127]
 * @param[in]  b      error, [count], in [-127, 127]
 * @param[in]  factor [2]: of mcg_prepare_error_sum
 * @param[out] e      their sum, [count], in [-127, 127]; may be a or b
 * @param[out] peak   largest magnitude of e before saturation
 *
 * MACs: 2 count. Scratch: none. Reference: ops/core/gradients_s8.py::add_errors_s8.
 */
void mcg_add_errors_s8(int32_t count, const int8_t *a, const int8_t *b, const int32_t *factor, int8_t *e,
                       int32_t *peak);

/**
 * @brief y = (x - x_zero) * x_scale: int8 activations in real units.
 *
 * Reference: ops/core/dequantize_f32.py::dequantize_f32.
 */
void mcg_dequantize_f32(int32_t count, int32_t x_zero, const int8_t *x, const float *x_scale, float *y);

/**
 * @brief e = 0 where x is not between bounds[0] and bounds[1]: there the activation function that made x is
 * flat.
 *
 * Reference: ops/core/computation_f32.py::mask_f32.
 */
void mcg_mask_f32(int32_t count, const float *bounds, const float *x, float *e);

/**
 * @brief sum[r] = sum over i of x[i] w[r, i], for `rows` rows of `count` weights.
 *
 * Term i goes to partial sum i mod 8; these are added as ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)).
 *
 * MACs: rows*count. Stack: 8 words. Reference: ops/core/computation_f32.py::dot_f32.
 */
void mcg_dot_f32(int32_t count, int32_t rows, const float *x, const float *w, float *sum);

/**
 * @brief sum[i] = sum over r of e[r] w[r, i], first r first; rows whose e is 0 are skipped.
 *
 * @param[in] active e[r] belongs to the row active[1 + r]; NULL: to row r
 *
 * MACs: rows*count. Reference: ops/core/computation_f32.py::combine_f32.
 */
void mcg_combine_f32(int32_t rows, int32_t count, const float *e, const uint16_t *active, const float *w,
                     float *sum);

/**
 * @brief y += factor * x.
 *
 * MACs: count. Reference: ops/core/computation_f32.py::add_scaled_f32.
 */
void mcg_add_scaled_f32(int32_t count, const float *factor, const float *x, float *y);

/**
 * @brief y += a * b, one by one: a term of a depthwise convolution's sums.
 *
 * MACs: count. Reference: ops/core/computation_f32.py::add_products_f32.
 */
void mcg_add_products_f32(int32_t count, const float *a, const float *b, float *y);

/**
 * @brief to = source; the two do not overlap.
 *
 * Reference: ops/core/computation_f32.py::copy_f32.
 */
void mcg_copy_f32(int32_t count, const float *source, float *to);

/**
 * @brief Copy the window of one output, `channels` channels of each pixel, x at the first of them; 0 outside
 * the map.
 *
 * Reference: ops/core/window.py::patches.
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
 * @brief y = clip(a + sign * b); y may be a or b.
 *
 * Reference: ops/core/gradients_f32.py::add_f32.
 */
void mcg_add_f32(int32_t count, int32_t sign, const float *a, const float *b, const float *clip, float *y);

/**
 * @brief e_x[r, i] = sign * e[r, offset + i]: rows of `count` elements cut out of rows of `pitch`.
 *
 * Reference: ops/core/gradients_f32.py::part_f32.
 */
void mcg_part_f32(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t sign, const float *e,
                  float *e_x);

#endif /* MCG_CORE_H */
