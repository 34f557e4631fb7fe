/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a learned state can be one: what a memory kept over a reset, or somebody brought, is not always. */
#ifndef MCG_CHECK_H
#define MCG_CHECK_H

#include "mcg_math.h"

/**
 * @brief Count the numbers outside their range; NaN and infinity are outside of every one.
 *
 * @param[in]     count how many there are
 * @param[in]     least the smallest that can be
 * @param[in]     most  the largest that can be
 * @param[in]     x     [count]
 * @param[in,out] wrong grows by the number of those that cannot be
 *
 * Reference: ops/life/check.py::check_f32.
 */
void mcg_check_f32(int32_t count, float least, float most, const float *x, uint32_t *wrong);

/**
 * @brief Count the codes below the smallest: -128 where weights are symmetric, which sums would not expect.
 *
 * @param[in]     count how many there are
 * @param[in]     least the smallest that can be
 * @param[in]     x     [count]
 * @param[in,out] wrong grows by the number of those that cannot be
 *
 * Reference: ops/life/check.py::check_s8.
 */
void mcg_check_s8(int32_t count, int32_t least, const int8_t *x, uint32_t *wrong);

/**
 * @brief Count the integers outside their range.
 *
 * @param[in]     count how many there are
 * @param[in]     least the smallest that can be
 * @param[in]     most  the largest that can be
 * @param[in]     x     [count]
 * @param[in,out] wrong grows by the number of those that cannot be
 *
 * Reference: ops/life/check.py::check_s32.
 */
void mcg_check_s32(int32_t count, int32_t least, int32_t most, const int32_t *x, uint32_t *wrong);

/**
 * @brief Whether a schedule keeps to what its fields say.
 *
 * @param[in]     schedule how the learning rate runs
 * @param[in,out] wrong    grows by 1 if it cannot
 *
 * Reference: ops/life/check.py::check_schedule.
 */
void mcg_check_schedule(const mcg_schedule_t *schedule, uint32_t *wrong);

/**
 * @brief Whether running means and drift can be what training leaves.
 *
 * @param[in]     watch how training is going
 * @param[in,out] wrong grows by 1 if it cannot
 *
 * Reference: ops/life/check.py::check_watch.
 */
void mcg_check_watch(const mcg_watch_t *watch, uint32_t *wrong);

#endif /* MCG_CHECK_H */
