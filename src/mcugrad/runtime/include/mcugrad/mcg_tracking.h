/* SPDX-License-Identifier: Apache-2.0 */
/* Scales and ranges that follow the data, one per tensor or channel, and the count of steps. */
#ifndef MCG_TRACKING_H
#define MCG_TRACKING_H

#include "mcg_core.h"

/**
 * @brief step += 1, modulo 2^32.
 *
 * @param[in,out] step training steps so far
 *
 * MACs: none. Scratch: none. Reference: ops/tracking/step.py::next_step.
 */
void mcg_next_step(uint32_t *step);

/**
 * @brief clip = bounds / scale, rounded.
 *
 * @param[in]  bounds bounds of an activation function, [2], real units; +-3e38 for none
 * @param[in]  scale  real units per step of its output
 * @param[out] clip   [2], steps from the zero point, within +-2^30
 *
 * MACs: none. Scratch: none. Reference: ops/tracking/ranges_s8.py::prepare_clip.
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
 * MACs: none. Scratch: none. Reference: ops/tracking/ranges_s8.py::prepare_error.
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
 * MACs: none. Scratch: none. Reference: ops/tracking/ranges_s8.py::track_error.
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
 * MACs: none. Scratch: none. Reference: ops/tracking/ranges_s8.py::track_scale.
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
 * MACs: none. Scratch: none. Reference: ops/tracking/ranges_s8.py::track_scale_steps.
 */
void mcg_track_scale_steps(int32_t levels, const int32_t *peak, float *fill, float *scale,
                           int32_t *saturated);

#endif /* MCG_TRACKING_H */
