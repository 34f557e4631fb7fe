/* SPDX-License-Identifier: Apache-2.0 */
/* Constants and small inline functions that several kernels share. */
#ifndef MCG_SHARED_H
#define MCG_SHARED_H

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

#endif /* MCG_SHARED_H */
