/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Around a training step: its rate, how well the network does, replay, augmentation; and whether a learned
 * state can be one: what a memory kept over a reset, or somebody brought, is not always.
 */
#ifndef MCG_LIFE_H
#define MCG_LIFE_H

#include "mcg_core.h"

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

/**
 * @brief Begin a training step: its learning rate by the schedule, and nothing saturated yet.
 *
 * @param[in]  schedule  how the rate runs
 * @param[in]  step      training steps so far
 * @param[out] rate      of this step
 * @param[out] saturated 0
 *
 * Reference: ops/life/life.py::begin_step.
 */
void mcg_begin_step(const mcg_schedule_t *schedule, const uint32_t *step, float *rate, int32_t *saturated);

/**
 * @brief Index of the largest value, the first one of several.
 *
 * @param[in]  count at least 1
 * @param[in]  x     [count]
 * @param[out] index of the largest
 *
 * Reference: ops/life/life.py::argmax_s8.
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
 * Reference: ops/life/life.py::watch_class.
 */
void mcg_watch_class(uint32_t label, const uint32_t *predicted, const float *loss, mcg_watch_t *watch);

/**
 * @brief Running loss, and drift of loss / (loss + running loss).
 *
 * @param[in]     loss  of the sample before the step; one that is not finite is left out
 * @param[in,out] watch follows; its accuracy stays
 *
 * Reference: ops/life/life.py::watch_loss.
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
 * Reference: ops/life/life.py::watch_confidence_s8.
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
 * Reference: ops/life/replay.py::replay_slot.
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
 * Reference: ops/life/augment.py::augment_s8.
 */
void mcg_augment_s8(int32_t height, int32_t width, int32_t channels, int32_t zero, const mcg_augment_t *how,
                    uint32_t number, const int8_t *x, int8_t *y);

/**
 * @brief Random int8 values: those of `count` counters from `counter` on.
 *
 * Reference: ops/life/selftest.py::noise_s8.
 */
void mcg_noise_s8(int32_t count, uint32_t counter, int8_t *x);

/**
 * @brief Let the CRC-32 of IEEE 802.3 (that of zlib, 0 at the beginning) go on over more bytes.
 *
 * Reference: ops/life/selftest.py::crc32.
 */
void mcg_crc32(int32_t count, const uint8_t *data, uint32_t *crc);

/**
 * @brief Index of the largest value, the first one of several; NaN is never larger.
 *
 * Reference: ops/life/life.py::argmax_f32.
 */
void mcg_argmax_f32(int32_t count, const float *x, uint32_t *index);

/**
 * @brief Drift of the uncertainty of predictions: one less the probability of the predicted class.
 *
 * @param[in]     logits [classes]
 * @param[in,out] drift  follows; what is not finite is left out
 *
 * Reference: ops/life/life.py::watch_confidence_f32.
 */
void mcg_watch_confidence_f32(int32_t classes, const float *logits, mcg_drift_t *drift);

#endif /* MCG_LIFE_H */
