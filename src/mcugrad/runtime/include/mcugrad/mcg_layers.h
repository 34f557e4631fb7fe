/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of a layer, fixed when the model is compiled. */
#ifndef MCG_LAYERS_H
#define MCG_LAYERS_H

#include "mcg_math.h"

/** Geometry of a 2-D convolution. Maps are [height][width][channels], weights [out][k_h][k_w][in]. */
typedef struct {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t dilation_h, dilation_w;
    int32_t x_zero, y_zero;
} mcg_conv2d_t;

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

/**
 * How a weight is stored and updated: one member of the family sr<N>.
 *
 * `step` subtracts factor * gradient from `count` weights of one row; `first` is the index of the first one
 * in its row, a multiple of 4; `counter` the row's first random word. Returns whether a weight saturated.
 * `grow` re-rounds a row of weights to a scale 1.25 times as large.
 */
typedef struct {
    bool (*step)(int8_t *w, uint8_t *residual, const int32_t *gradient, int32_t count, int32_t first,
                 mcg_scale_t factor, uint32_t counter);
    void (*grow)(int8_t *w, uint8_t *residual, int32_t count);
    int32_t residual_bits;
} mcg_rule_t;

/** A place in a residual plane; NULL for rules that store no residual. */
static inline uint8_t *mcg_residual_at(uint8_t *plane, int32_t bytes)
{
    return plane == NULL ? NULL : plane + bytes;
}

#endif /* MCG_LAYERS_H */
