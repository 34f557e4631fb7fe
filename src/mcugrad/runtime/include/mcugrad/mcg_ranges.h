/* SPDX-License-Identifier: Apache-2.0 */
/* Factors and ranges, one per tensor or channel; and errors that change their scale or add up. */
#ifndef MCG_RANGES_H
#define MCG_RANGES_H

#include "mcg_layers.h"

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
 * MACs: none. Scratch: none. Reference: ops/core/weighted.py::prepare_s8.
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
 * MACs: none. Scratch: none. Reference: ops/tracking/ranges.py::prepare_clip.
 */
void mcg_prepare_clip(const float *bounds, const float *scale, int32_t *clip);

/**
 * @brief scale[o] = 127 / (range * fill) * w_scale[o]: accumulator to stored error.
 *
 * @param[in]  channels channels of the layer that the error goes back to
 * @param[in]  range    of the error, relative to the largest of the error that it is computed from
 * @param[in]  c        unit and fill of that error, [2]: its largest magnitude is 127 times the fill
 * @param[in]  w_scale  weight scales of that layer, [channels]
 * @param[out] scale    [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/tracking/ranges.py::prepare_error.
 */
void mcg_prepare_error(int32_t channels, const float *range, const float *c, const float *w_scale,
                       mcg_scale_t *scale);

/**
 * @brief Unit and fill of an error just computed; then its range follows: up at once, down by 2^-7, or by
 * half where less than a quarter of it is in use. Without an error above, it stays.
 *
 * @param[in]     least smallest range times fill that the error's factors hold: MCG_LEAST_REACH of a sum,
 * else 0
 * @param[in]     peak  largest magnitude of the error before saturation
 * @param[in]     c     unit and fill of the error that it was computed from, [2]
 * @param[in,out] range used for this step; for the next one afterwards
 * @param[out]    c_x   unit and fill of the error, [2]: c * range * fill / 127, with the range of this step;
 * peak / 127
 * @param[in,out] saturated one more if the error saturated, MCG_EMPTY_ERROR more if it is all 0
 *
 * MACs: none. Scratch: none. Reference: ops/tracking/ranges.py::track_error.
 */
void mcg_track_error(int32_t least, const int32_t *peak, const float *c, float *range, float *c_x,
                     int32_t *saturated);

/**
 * @brief Scale of an activation for the next step: up at once, down by 2^-10.
 *
 * @param[in]     levels steps above the zero point: 255 when it is -128, 127 when it is 0
 * @param[in]     peak   largest magnitude of the activation before saturation
 * @param[in,out] scale  real units per step
 * @param[in,out] saturated one more if the activation saturated
 *
 * MACs: none. Scratch: none. Reference: ops/tracking/ranges.py::track_scale.
 */
void mcg_track_scale(int32_t levels, const int32_t *peak, float *scale, int32_t *saturated);

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
 * MACs: none. Scratch: none. Reference: ops/tracking/ranges.py::track_scale_steps.
 */
void mcg_track_scale_steps(int32_t levels, const int32_t *peak, float *fill, float *scale,
                           int32_t *saturated);

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
 * MACs: none. Scratch: none. Reference: ops/core/errors.py::prepare_error_ratio.
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
 * @param[out] e_x      error of x, [rows][count], in [-127, 127]
 * @param[out] peak     largest magnitude of e_x before saturation
 *
 * MACs: none. Scratch: none. Reference: ops/core/errors.py::rescale_error_s8.
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
 * MACs: none. Scratch: none. Reference: ops/core/errors.py::scale_unit.
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
 * MACs: none. Scratch: none. Reference: ops/core/errors.py::prepare_error_sum.
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
 * @param[out] e      their sum, [count], in [-127, 127]
 * @param[out] peak   largest magnitude of e before saturation
 *
 * MACs: 2 count. Scratch: none. Reference: ops/core/errors.py::add_errors_s8.
 */
void mcg_add_errors_s8(int32_t count, const int8_t *a, const int8_t *b, const int32_t *factor, int8_t *e,
                       int32_t *peak);

#endif /* MCG_RANGES_H */
