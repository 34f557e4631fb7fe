/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions of which few output channels take part in a step, by the DSP extension: what panels are copied
 * for would take more than the products.
 */
#ifndef MCG_THIN_H
#define MCG_THIN_H

#include "mcg_panels.h"

/** A run of sums of few terms that become errors: four channels after the other, of two pixels. */
typedef struct {
    const uint32_t *b; /* panel of two columns: [step][2] */
    int32_t steps;
    const uint32_t *b_end;
    const int32_t *factor; /* of all channels, as SMMULR has them */
    const int8_t *x, *x_end;
    int32_t apart; /* bytes from pixel to pixel */
    int8_t *e;
    uint32_t low, high;   /* x from one to the other is not flat, in four bytes */
    uint32_t least, most; /* errors so far */
} mcg_thin_run_t;

/**
 * @brief Errors of all channels of two pixels from few terms.
 *
 * @param[in]     a      panels of four rows: [four channels][step][4]
 * @param[in,out] run    columns, factors, and where errors go; its ends are those of this run alone, or all
 * @param[in]     halves whether none can be beyond 16 bits
 * @param[in,out] how    bounds, and the largest magnitude so far
 *
 * 11 instructions a step for 16 products, and 58 for eight errors; 86 where some are beyond int8. Stack: 0.2
 * KiB.
 */
void mcg_thin_errors(const uint32_t *a, mcg_thin_run_t *run, bool halves, mcg_panel_error_t *how);

/**
 * @brief The error of a convolution's input where few channels take part; mcg_conv2d_grad_input_s8 says what
 * it computes.
 *
 * Their errors lie in scratch as halves of words, with zeros around them, so that windows are copied word by
 * word, and become errors of the input in registers. Input channels are whole fours, and there is no
 * dilation.
 *
 * @return false where it is none of these, there is no room, or a sum might have to be clamped, and nothing
 * was written
 */
bool mcg_thin_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                            const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                            const int32_t *clip, int8_t *e_x, int32_t *peak, int32_t room, uint32_t *scratch);

/**
 * @brief The update of a convolution of which few channels take part; mcg_conv2d_update says what it
 * computes.
 *
 * Rows of the product are taps of channels: what is turned are errors, once for each tap, and every input
 * once instead of once for each tap. There are several taps, input channels are whole fours, and there is no
 * dilation.
 *
 * @return false where it is none of these, or there is no room, and nothing was written
 */
bool mcg_thin_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                     const mcg_scale_t *factor, const mcg_rule_t *rule, uint32_t stream, int8_t *w,
                     uint8_t *residual, float *w_scale, int32_t room, uint32_t *scratch);

#endif /* MCG_THIN_H */
