/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows for cores with the DSP extension: what kernels there are made of whose weights are read once, so that
 * copying them into panels would not pay, and what turns a row of sums into bytes.
 */
#ifndef MCG_ROWS_H
#define MCG_ROWS_H

#include "mcg_core.h"

/** Rows of weights that are listed at a time. */
#define MCG_ROW_LISTED 64
#define MCG_ROW_GROUPS (MCG_ROW_LISTED / 4)

/** Four rows of weights, and what each is multiplied with, as loads of several words read them. */
typedef struct {
    int32_t at[4];    /* where rows begin */
    int16_t error[4]; /* two share a word */
} mcg_row_group_t;

/**
 * @brief Lists rows with an error, four by four; what is missing to a whole group has an error of 0.
 *
 * @param[in]  e      errors, in [-127, 127]
 * @param[in]  count  how many, at most MCG_ROW_LISTED
 * @param[in]  active e[o] belongs to the row active[1 + o]; NULL: to row first + o
 * @param[in]  first  row of the first error, where there is no list
 * @param[in]  pitch  bytes from row to row
 * @param[out] list   groups
 * @return how many groups there are
 */
int32_t mcg_row_list(const int8_t *e, int32_t count, const uint16_t *active, int32_t first, int32_t pitch,
                     mcg_row_group_t *list);

/**
 * @brief acc[i] = or += sum of error * w[row + i] over the rows of some groups, for i below `columns`.
 *
 * @param[in]     list    groups, 1 or more
 * @param[in]     groups  how many
 * @param[in]     w       first column
 * @param[in]     columns how many
 * @param[in]     more    whether sums begin as they are; else at 0
 * @param[in,out] acc     sums
 *
 * The loop takes 25 instructions for 16 products, and all registers. Stack: 0.1 KiB.
 */
void mcg_row_spread(const mcg_row_group_t *list, int32_t groups, const int8_t *w, int32_t columns, bool more,
                    int32_t *acc);

/**
 * @brief Sums to errors, as mcg_error_s8 does, in 10 instructions each where factors begin at a whole word.
 */
int32_t mcg_row_errors(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                       const int32_t *clip, int32_t count, int8_t *e);

/** One factor again and again, where words begin: mcg_row_errors reads them. */
typedef union {
    uint32_t word;
    mcg_scale_t scale[MCG_BLOCK];
} mcg_scale_block_t;

/**
 * @brief mcg_error_channels_s8 by mcg_row_errors.
 *
 * @param[in] same its only factor again and again, where words begin, if `channels` is 1
 */
int32_t mcg_error_parts(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                        int32_t channels, int32_t at, const mcg_scale_t *same, const int32_t *clip,
                        int32_t count, int8_t *e);

/** What an error is multiplied with: by how much it is taken times before, and a factor as SMMULR has it. */
typedef struct {
    int32_t times, factor;
} mcg_row_times_t;

/** Which x are not flat, in four bytes, and the smallest and the largest error so far, of either half of a
 * word. */
typedef struct {
    uint32_t low, high;
    uint32_t least, most;
} mcg_row_bounds_t;

#if MCG_HAS_DSP
/** Of an error times `value` and a factor; false where the product might have to be clamped, or the error
 * does not fit into half a word. */
static inline MCG_SPARE bool mcg_row_times(int32_t value, mcg_scale_t scale, mcg_row_times_t *by)
{
    by->factor = (int32_t)((uint32_t)scale.mult << (32U - scale.shift));
    by->times = scale.pre > 13U ? 0 : value * ((int32_t)1 << scale.pre);
    return scale.pre <= 13U && ((int64_t)mcg_abs(by->times) * 128 * by->factor >> 32) < 32767;
}

/** Bounds of x as mcg_row_products has them; false where all x are flat. */
static inline MCG_SPARE bool mcg_row_bounds(const int32_t *clip, int32_t x_zero, mcg_row_bounds_t *how)
{
    const int32_t low = x_zero + mcg_clamp(clip[0], -1000, 1000) + 1;
    const int32_t high = x_zero + mcg_clamp(clip[1], -1000, 1000) - 1;
    how->low = ((uint32_t)mcg_max(low, -128) & 0xffU) * 0x01010101U;
    how->high = ((uint32_t)mcg_min(high, 127) & 0xffU) * 0x01010101U;
    how->least = 0;
    how->most = 0;
    return low <= 127 && high >= -128;
}

/** The largest magnitude of errors so far. */
static inline MCG_SPARE int32_t mcg_row_peak(const mcg_row_bounds_t *how)
{
    const int32_t least = mcg_min(mcg_half(how->least, 0), mcg_half(how->least, 1));
    return mcg_max(mcg_max(mcg_half(how->most, 0), mcg_half(how->most, 1)), -least);
}
#endif /* MCG_HAS_DSP */

/**
 * @brief Errors times one factor and another, where x is not flat.
 *
 * @param[in]     e     errors, in [-127, 127]
 * @param[in]     by    what each is multiplied with, [count]
 * @param[in]     x     what they are masked by
 * @param[in]     count how many, a multiple of 4
 * @param[in,out] how   bounds of x, and the ends so far
 * @param[out]    e_x   errors, in [-127, 127]; may be e or x
 */
void mcg_row_products(const int8_t *e, const mcg_row_times_t *by, const int8_t *x, int32_t count,
                      mcg_row_bounds_t *how, int8_t *e_x);

/** Sums to errors one by one: as mcg_error_s8, by the instructions that there are. */
int32_t mcg_row_each(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                     const int32_t *clip, int32_t count, int8_t *e);

/**
 * @brief The error of a convolution's input by rows; mcg_conv2d_grad_input_s8 says what it computes.
 *
 * Pixel by pixel and tap by tap, without errors that are 0. Stack: 0.7 KiB with all that it calls.
 */
void mcg_row_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                           const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                           const int32_t *clip, int8_t *e_x, int32_t *peak);

/** By the DSP extension: weights of a row whose scale grows by MCG_GROWTH, less by as much, rounded to
 * nearest, half up. Whole fours of them; returns how many. */
int32_t mcg_shrink_fours(int8_t *w, int32_t count);

#endif /* MCG_ROWS_H */
