/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes on around the steps of a model, whatever the model: these functions see it through a constant
 * that says its sizes, its places and what computes. In a generated file the constant is known, so that
 * compilers call directly and drop what the model has no use for. They check what they are given; on error
 * nothing changes.
 */
#ifndef MCG_LIFE_CALLS_H
#define MCG_LIFE_CALLS_H

#include "mcg_life_model.h"

/**
 * @brief Keep the state of a model as the one to come back to. Its error is not known.
 *
 * @param[in]  model    what it is
 * @param[in]  m        its memory
 * @param[out] snapshot of that model
 * @return MCG_ERR_NULL, or MCG_ERR_STATE for a model that is not initialised
 *
 * Reference: ops/life/guard.py::keep.
 */
mcg_status_t mcg_snapshot(const mcg_model_t *model, const void *m, void *snapshot);

/**
 * @brief Come back to the state kept. Schedule, running means and step counter go on.
 *
 * @param[in]     model    what it is
 * @param[in,out] m        its memory
 * @param[in]     snapshot of that model
 * @return MCG_ERR_NULL, or MCG_ERR_STATE for a model or a snapshot that holds none
 *
 * Reference: ops/life/guard.py::rollback.
 */
mcg_status_t mcg_rollback(const mcg_model_t *model, void *m, const void *snapshot);

/**
 * @brief Error of one sample, summed over its outputs: 1 for each class or bit that is wrong, squares of
 * differences between values in real units.
 *
 * @param[in]     model what it is
 * @param[in,out] m     its memory; nothing that was learned changes
 * @param[in]     x     [input_size]
 * @param[in]     label what its outputs should be
 * @param[out]    error of the sample
 *
 * Reference: ops/life/guard.py::guard_error.
 */
void mcg_guard_error(const mcg_model_t *model, void *m, const int8_t *x, const void *label, float *error);

/**
 * @brief Test a model; keep its state if none was better so far, come back to the best if it is worse by more
 * than the margin.
 *
 * @param[in]     model    what it is
 * @param[in,out] m        its memory
 * @param[in,out] snapshot the best state so far; of no model or another one: none yet
 * @param[in]     x        [samples][input_size]
 * @param[in]     labels   of the samples
 * @param[in]     samples  at least 1
 * @param[in]     margin   finite, not below 0
 * @param[out]    result   what was found, or NULL
 * @return MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_ARG, or MCG_ERR_LABEL
 *
 * Reference: ops/life/guard.py::guard.
 */
mcg_status_t mcg_guard(const mcg_model_t *model, void *m, void *snapshot, const int8_t *x, const void *labels,
                       uint32_t samples, float margin, mcg_guard_t *result);

/**
 * @brief Compute the logits of a sample.
 *
 * @param[in]     model what it is
 * @param[in,out] m     its memory; nothing that was learned changes
 * @param[in]     x     [input_size]
 * @param[out]    y     [output_size]
 * @return MCG_ERR_NULL, or MCG_ERR_STATE
 *
 * Reference: ops/life/train.py::predict.
 */
mcg_status_t mcg_predict(const mcg_model_t *model, void *m, const int8_t *x, void *y);

/**
 * @brief Learn from one labelled sample.
 *
 * @param[in]     model what it is
 * @param[in,out] m     its memory
 * @param[in]     x     [input_size]
 * @param[in]     label what its outputs should be
 * @param[out]    step  what the step reports, or NULL
 * @return MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_LABEL
 *
 * Reference: ops/life/train.py::train_step.
 */
mcg_status_t mcg_train_step(const mcg_model_t *model, void *m, const int8_t *x, const void *label,
                            void *step);

/**
 * @brief Learn from one sample the shares of the classes that somebody said of it.
 *
 * @param[in]     model what it is
 * @param[in,out] m     its memory
 * @param[in]     x     [input_size]
 * @param[in]     soft  [output_size], relative to their sum
 * @param[out]    step  what the step reports, or NULL
 * @return MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_ARG for shares that are all 0
 *
 * Reference: ops/life/train.py::train_soft.
 */
mcg_status_t mcg_train_soft(const mcg_model_t *model, void *m, const int8_t *x, const uint8_t *soft,
                            void *step);

/**
 * @brief Place an empty replay buffer into memory.
 *
 * @param[in]  model  what its samples are for
 * @param[out] replay every new sample is followed by a stored one, and enters
 * @param[in]  memory [words]; it need not hold anything
 * @param[in]  words  enough for one sample at least
 * @param[in]  seed   of the random numbers
 * @return MCG_ERR_NULL, or MCG_ERR_ARG
 *
 * Reference: ops/life/replay_buffer.py::replay_init.
 */
mcg_status_t mcg_replay_init(const mcg_model_t *model, mcg_replay_t *replay, uint32_t *memory, uint32_t words,
                             uint32_t seed);

/**
 * @brief Offer a sample to a replay buffer.
 *
 * @param[in]     model  what the samples are for
 * @param[in,out] replay of that model
 * @param[in]     x      [input_size]
 * @param[in]     label  what the outputs should be
 * @return MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_LABEL
 *
 * Reference: ops/life/replay_buffer.py::replay_add.
 */
mcg_status_t mcg_replay_add(const mcg_model_t *model, mcg_replay_t *replay, const int8_t *x,
                            const void *label);

/**
 * @brief Draw a stored sample at random.
 *
 * @param[in]     model  what the samples are for
 * @param[in,out] replay of that model
 * @param[out]    place  of the sample
 * @return MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_EMPTY
 *
 * Reference: ops/life/replay_buffer.py::replay_draw.
 */
mcg_status_t mcg_replay_draw(const mcg_model_t *model, mcg_replay_t *replay, uint32_t *place);

/**
 * @brief Remember what a model says about every stored sample, as a soft label. Labels are classes.
 *
 * @param[in]     model  what it is
 * @param[in,out] m      its memory; nothing that was learned changes
 * @param[in,out] replay of that model
 * @return MCG_ERR_NULL, or MCG_ERR_STATE
 *
 * Reference: ops/life/replay_buffer.py::replay_remember.
 */
mcg_status_t mcg_replay_remember(const mcg_model_t *model, void *m, mcg_replay_t *replay);

/**
 * @brief Learn from a sample; then, when it is its turn, from a stored one, towards its soft label if it has
 * one; then offer the sample to the buffer if that collects.
 *
 * @param[in]     model  what it is
 * @param[in,out] m      its memory
 * @param[in,out] replay of that model; where it says how, both samples change first, but for one with a soft
 * label
 * @param[in]     x      [input_size]
 * @param[in]     label  what its outputs should be
 * @param[out]    step   what the step on the new sample reports, or NULL
 * @return MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_LABEL, or MCG_ERR_ARG for changes that cannot be
 *
 * Reference: ops/life/train.py::train_replay.
 */
mcg_status_t mcg_train_replay(const mcg_model_t *model, void *m, mcg_replay_t *replay, const int8_t *x,
                              const void *label, void *step);

/**
 * @brief Say how samples are to change before they are trained.
 *
 * @param[in]  model   what they are for
 * @param[out] how     by how much, in the units of the device
 * @param[in]  shift_h rows at most, below those of the map
 * @param[in]  shift_w columns at most, likewise
 * @param[in]  gain    share at most, in [0, 1]
 * @param[in]  offset  of all values alike at most, real units
 * @param[in]  noise   standard deviation of that of each value, real units
 * @param[in]  seed    of the random numbers
 * @return MCG_ERR_NULL, or MCG_ERR_ARG
 *
 * Reference: ops/life/augment.py::augment_init.
 */
mcg_status_t mcg_augment_init(const mcg_model_t *model, mcg_augment_t *how, int32_t shift_h, int32_t shift_w,
                              float gain, float offset, float noise, uint32_t seed);

/**
 * @brief Change a sample at random, differently each time.
 *
 * @param[in]     model what it is for
 * @param[in,out] how   by how much; it counts
 * @param[in]     x     [input_size]
 * @param[out]    y     [input_size]; must not overlap x
 * @return MCG_ERR_NULL, or MCG_ERR_ARG for changes that cannot be
 *
 * Reference: ops/life/augment.py::augment.
 */
mcg_status_t mcg_augment(const mcg_model_t *model, mcg_augment_t *how, const int8_t *x, int8_t *y);

/**
 * @brief Quantize a sample from real units.
 *
 * @param[in]  model what it is for
 * @param[in]  real  [input_size]
 * @param[out] x     [input_size]
 * @return MCG_ERR_NULL
 *
 * Reference: ops/life/input.py::quantize.
 */
mcg_status_t mcg_quantize(const mcg_model_t *model, const float *real, int8_t *x);

/**
 * @brief Say what raw values of a converter mean: real = unit * (raw - middle).
 *
 * @param[in]  model  what they are for
 * @param[out] how    the same in steps of the input
 * @param[in]  unit   above 0, at most 4096 steps of the input
 * @param[in]  middle from -65536 to 65536
 * @return MCG_ERR_NULL, or MCG_ERR_ARG
 *
 * Reference: ops/life/input.py::adc_init.
 */
mcg_status_t mcg_adc_init(const mcg_model_t *model, mcg_adc_t *how, float unit, int32_t middle);

/**
 * @brief Quantize a sample of raw values, in integers alone.
 *
 * @param[in]  model what it is for
 * @param[in]  how   what they mean
 * @param[in]  raw   [input_size]
 * @param[out] x     [input_size]
 * @return MCG_ERR_NULL, or MCG_ERR_ARG for what mcg_adc_init did not make
 *
 * Reference: ops/life/input.py::adc.
 */
mcg_status_t mcg_adc_s16(const mcg_model_t *model, const mcg_adc_t *how, const int16_t *raw, int8_t *x);

/**
 * @brief The same of values without a sign.
 *
 * Reference: ops/life/input.py::adc.
 */
mcg_status_t mcg_adc_u16(const mcg_model_t *model, const mcg_adc_t *how, const uint16_t *raw, int8_t *x);

/**
 * @brief Follow how sure predictions are.
 *
 * @param[in]     model what predicts
 * @param[in]     m     its memory
 * @param[in]     y     logits, [output_size]
 * @param[in,out] drift follows
 * @return MCG_ERR_NULL, or MCG_ERR_STATE
 *
 * Reference: ops/life/rate.py::watch.
 */
mcg_status_t mcg_watch(const mcg_model_t *model, const void *m, const void *y, mcg_drift_t *drift);

/**
 * @brief Let the learning rate be the same from the next step on.
 *
 * @param[in]     model what learns
 * @param[in,out] m     its memory
 * @param[in]     rate  finite, not below 0
 * @return MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_RATE
 *
 * Reference: ops/life/rate.py::set_rate.
 */
mcg_status_t mcg_set_rate(const mcg_model_t *model, void *m, float rate);

/**
 * @brief Let the learning rate run by a schedule from the next step on.
 *
 * @param[in]     model    what learns
 * @param[in,out] m        its memory
 * @param[in]     schedule how; its start is not looked at
 * @return MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_RATE, or MCG_ERR_ARG
 *
 * Reference: ops/life/rate.py::set_schedule.
 */
mcg_status_t mcg_set_schedule(const mcg_model_t *model, void *m, const mcg_schedule_t *schedule);

#endif /* MCG_LIFE_CALLS_H */
