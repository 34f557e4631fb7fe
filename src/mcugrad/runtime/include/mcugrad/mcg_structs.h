/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of a layer, fixed when the model is compiled. */
#ifndef MCG_STRUCTS_H
#define MCG_STRUCTS_H

#include "mcg_math.h"

/** Geometry of a 2-D convolution of any kind, forward or transposed. Maps are [height][width][channels],
 * weights [out][k_h][k_w][in], where `in` is the number of input channels that one output channel reads. */
typedef struct {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t dilation_h, dilation_w;
    int32_t x_zero, y_zero;
} mcg_conv2d_t;

/** Some channels, side by side, of a map of inputs or errors. */
typedef struct {
    const int8_t *at; /* the first of them, at pixel (0, 0) */
    int32_t height, width, pitch;
    int32_t channels;
    int32_t zero; /* zero point */
} mcg_map_t;

/** Geometry of a fully connected layer, weights [out][in]. `in_c`: channels that the input's errors are
 * scaled by. */
typedef struct {
    int32_t inputs, out, in_c;
    int32_t x_zero, y_zero;
} mcg_linear_t;

/** Geometry of a 2-D pooling; windows may overlap, leave gaps, and reach over the border. */
typedef struct {
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t dilation_h, dilation_w;
} mcg_pool2d_t;

/** A 2-D convolution whose output is pooled at once: only a few rows of it exist at a time. Windows of the
 * pooling are neighbours, or have gaps between them; they lie within the convolution's output. */
typedef struct {
    mcg_conv2d_t conv;
    mcg_pool2d_t pool;
    int32_t lines; /* rows of windows at a time */
} mcg_pooled_conv2d_t;

/** Up to three pairs of rows whose products are added at a time: sums are then read and written once for
 * three. */
typedef struct {
    const int8_t *a[3];
    const int8_t *b[3];
    int32_t terms;
} mcg_products_t;

/** A coordinate of a map, padding included, in steps of a stride: at * stride + rest. */
typedef struct {
    int32_t at, rest;
} mcg_position_t;

static inline mcg_position_t mcg_position(int32_t coordinate, int32_t stride)
{
    const mcg_position_t p = {coordinate / stride, coordinate % stride};
    return p;
}

/** The position one tap earlier. Cores without a divider divide once per pixel, not once per tap. */
static inline mcg_position_t mcg_position_before(mcg_position_t p, int32_t dilation, int32_t stride)
{
    p.rest -= dilation;
    while (p.rest < 0) {
        p.rest += stride;
        p.at -= 1;
    }
    return p;
}

/** Whether the position is a whole number of strides, within a map of that size. */
static inline bool mcg_position_hits(mcg_position_t p, int32_t size)
{
    return p.rest == 0 && p.at >= 0 && p.at < size;
}

/** Activation functions that are tabulated; ops/activation/activation.py says what each one computes. */
typedef enum {
    MCG_SIGMOID,
    MCG_TANH,
    MCG_HARD_SIGMOID,
    MCG_HARD_SWISH,
    MCG_SILU,
    MCG_GELU,
    MCG_GELU_TANH,
    MCG_ELU,
    MCG_SOFTPLUS
} mcg_function_t;

/** A tabulated activation function: which one (mcg_function_t), and the zero points on both sides. */
typedef struct {
    int32_t function;
    int32_t x_zero, y_zero;
} mcg_activation_t;

/** A regular part of a map: element (y, x, c) of the part is (first + y * step, ...) of the whole. */
typedef struct {
    int32_t whole_h, whole_w, whole_c;
    int32_t part_h, part_w, part_c;
    int32_t first_h, first_w, first_c;
    int32_t step_h, step_w, step_c;
} mcg_slice_t;

/**
 * How a weight is stored and updated: one member of the family sr<N>.
 *
 * `step` subtracts factor * gradient from `count` weights of one row; `first` is the index of the first one
 * in its row, a multiple of 4; `counter` the row's first random word. Returns whether a weight saturated.
 * `grow` re-rounds a row of weights to a scale 1.25 times as large. A weight and its residual bits are the
 * upper part of a sum in 1/65536, whose lower part is a random number, where steps are rounded at random, or
 * one half of the last bit.
 */
typedef struct {
    bool (*step)(int8_t *w, uint8_t *residual, const int32_t *gradient, int32_t count, int32_t first,
                 mcg_scale_t factor, uint32_t counter);
    void (*grow)(int8_t *w, uint8_t *residual, int32_t count);
    int32_t residual_bits;
    bool random;
} mcg_rule_t;

/** A place in a residual plane; NULL for rules that store no residual. */
static inline uint8_t *mcg_residual_at(uint8_t *plane, int32_t bytes)
{
    return plane == NULL ? NULL : plane + bytes;
}

/*
 * Which channels of a layer take part in a step: a list of their number and then of the channels, ascending.
 * The error that goes with a list holds these channels alone, side by side. No list (NULL): all take part.
 */

/** How many of a layer's channels take part. */
static inline int32_t mcg_active_count(const uint16_t *active, int32_t channels)
{
    return active == NULL ? channels : active[0];
}

/** The i-th channel that takes part. */
static inline int32_t mcg_active_at(const uint16_t *active, int32_t i)
{
    return active == NULL ? i : active[1 + i];
}

/** The list from one of its entries on; the number before it is no longer how many there are. */
static inline const uint16_t *mcg_active_from(const uint16_t *active, int32_t first)
{
    return active == NULL ? NULL : active + first;
}

/** How many of those that take part lie below `channel`; at least `from` do. */
static inline int32_t mcg_active_before(const uint16_t *active, int32_t from, int32_t channel)
{
    if (active == NULL) {
        return channel;
    }
    while (from < active[0] && active[1 + from] < channel) {
        from++;
    }
    return from;
}

/** Weight decay: each step takes every so many-th row, and so many times as much of it. */
#define MCG_DECAY_TURNS 16

/** Share of the old value in a moving average of the rule `standardized`. */
#define MCG_MOVING 0.85F

/**
 * Whether the scale of a row of kept changes shrinks: every 16th time they are applied, where less than an
 * eighth of the range was in use, and not below 2^-14 of the weights' scale.
 */
static inline bool mcg_plane_shrinks(uint32_t applied, int32_t peak, float scale, float w_scale)
{
    return applied % 16U == 0U && peak < 16 && scale > w_scale * (1.0F / 16384.0F);
}

#endif /* MCG_STRUCTS_H */
