/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes on around the steps of a model, whatever the model: these functions see it through a constant
 * that says its sizes, its places and what computes. In a generated file the constant is known, so that
 * compilers call directly and drop what the model has no use for. They check what they are given; on error
 * nothing changes.
 *
 * What is said here is all there is of a function that models have: where its comment has "In a model:",
 * generated headers declare it under that name, with this comment and the model's own types and sizes,
 * generated files call it, and READMEs list it by its first sentence. `with` are features without which it is
 * not there, or `training`. A function `with latents` is one of models whose replay buffers hold latents; it
 * takes the place of its namesake, if there is one. All others that take a replay buffer are about samples as
 * they are in it: there they are called with what follows the frozen layers, and "Of latents:" says what is
 * passed in the place of a sample.
 */
#ifndef MCG_LIFE_CALLS_H
#define MCG_LIFE_CALLS_H

#include "mcg_life_model.h"

/**
 * @brief Compute the logits of a sample; the class is the index of the largest. Changes nothing that was
 * learned.
 *
 * @param[in]     model what it is
 * @param[in,out] m     the model's memory
 * @param[in]     x     sample, [input_size]
 * @param[out]    y     logits, [output_size]
 * @return MCG_ERR_NULL, or MCG_ERR_STATE
 *
 * In a model: predict.
 * Reference: ops/life/train.py::predict.
 */
mcg_status_t mcg_predict(const mcg_model_t *model, void *m, const int8_t *x, void *y);

/**
 * @brief Quantize a sample from real units.
 *
 * @param[in]  model what it is for
 * @param[in]  real  sample in real units, [input_size]
 * @param[out] x     sample, [input_size]
 * @return MCG_ERR_NULL
 *
 * In a model: quantize.
 * Reference: ops/life/input.py::quantize.
 */
mcg_status_t mcg_quantize(const mcg_model_t *model, const float *real, int8_t *x);

/**
 * @brief Say what raw values of a converter mean: real = unit * (raw - middle).
 *
 * @param[in]  model  what they are for
 * @param[out] how    the same in steps of the input
 * @param[in]  unit   above 0, at most 4096 steps of the input, 4096 * input_scale
 * @param[in]  middle from -65536 to 65536
 * @return MCG_ERR_NULL, or MCG_ERR_ARG
 *
 * In a model: adc_init, with adc.
 * Reference: ops/life/input.py::adc_init.
 */
mcg_status_t mcg_adc_init(const mcg_model_t *model, mcg_adc_t *how, float unit, int32_t middle);

/**
 * @brief Quantize a sample of raw values, in integers alone. The result is that for the same real values, but
 * where one of them is within 1/100 step of half a step between two results: there it may be the other one.
 *
 * @param[in]  model what it is for
 * @param[in]  how   what they mean
 * @param[in]  raw   sample of raw values, [input_size]
 * @param[out] x     sample, [input_size]
 * @return MCG_ERR_NULL, or MCG_ERR_ARG if nobody said what they mean
 *
 * In a model: quantize_s16, with adc.
 * Reference: ops/life/input.py::adc.
 */
mcg_status_t mcg_adc_s16(const mcg_model_t *model, const mcg_adc_t *how, const int16_t *raw, int8_t *x);

/**
 * @brief Quantize a sample of raw values without a sign, in the same way.
 *
 * @param[in]  model what it is for
 * @param[in]  how   what they mean
 * @param[in]  raw   sample of raw values, [input_size]
 * @param[out] x     sample, [input_size]
 * @return MCG_ERR_NULL, or MCG_ERR_ARG if nobody said what they mean
 *
 * In a model: quantize_u16, with adc.
 * Reference: ops/life/input.py::adc.
 */
mcg_status_t mcg_adc_u16(const mcg_model_t *model, const mcg_adc_t *how, const uint16_t *raw, int8_t *x);

/**
 * @brief Follow how sure predictions are, and whether they have become less sure than they were. Call it with
 * the logits of every prediction. It needs no label and changes no model.
 *
 * @param[in]     model what predicts
 * @param[in]     m     the model's memory
 * @param[in]     y     logits, [output_size]
 * @param[in,out] drift follows; zero at first
 * @return MCG_ERR_NULL, or MCG_ERR_STATE
 *
 * In a model: watch, with watch.
 * Reference: ops/life/rate.py::watch.
 */
mcg_status_t mcg_watch(const mcg_model_t *model, const void *m, const void *y, mcg_drift_t *drift);

/**
 * @brief Learn from one labelled sample. On error nothing changes.
 *
 * @param[in]     model what it is
 * @param[in,out] m     the model's memory
 * @param[in]     x     sample, [input_size]
 * @param[in]     label what its outputs should be
 * @param[out]    step  what the step reports, or NULL
 * @return MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_LABEL for a class that there is not
 *
 * In a model: train_step, with training.
 * Reference: ops/life/train.py::train_step.
 */
mcg_status_t mcg_train_step(const mcg_model_t *model, void *m, const int8_t *x, const void *label,
                            void *step);

/**
 * @brief Learn from one sample what another network, or this one earlier, said of it. Running means and drift
 * that the step reports are those of labelled steps. On error nothing changes.
 *
 * @param[in]     model what it is
 * @param[in,out] m     the model's memory
 * @param[in]     x     sample, [input_size]
 * @param[in]     soft  shares of the classes in a softmax at temperature 3, relative to their sum,
 *                      [output_size]
 * @param[out]    step  what the step reports, or NULL
 * @return MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_ARG for shares that are all 0
 *
 * In a model: train_soft, with soft.
 * Reference: ops/life/train.py::train_soft.
 */
mcg_status_t mcg_train_soft(const mcg_model_t *model, void *m, const int8_t *x, const uint8_t *soft,
                            void *step);

/**
 * @brief Let the learning rate be the same from the next step on; 0 stops learning. Ends a schedule.
 *
 * @param[in]     model what learns
 * @param[in,out] m     the model's memory
 * @param[in]     rate  finite, not below 0
 * @return MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_RATE
 *
 * In a model: set_rate, with training.
 * Reference: ops/life/rate.py::set_rate.
 */
mcg_status_t mcg_set_rate(const mcg_model_t *model, void *m, float rate);

/**
 * @brief Let the learning rate run by the step counter from the next step on: constant, cosine, linear, step
 * decay, with a warm-up.
 *
 * @param[in]     model    what learns
 * @param[in,out] m        the model's memory
 * @param[in]     schedule how; its start is not looked at
 * @return MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_RATE, or MCG_ERR_ARG
 *
 * In a model: set_schedule, with training.
 * Reference: ops/life/rate.py::set_schedule.
 */
mcg_status_t mcg_set_schedule(const mcg_model_t *model, void *m, const mcg_schedule_t *schedule);

/**
 * @brief Say how samples are to change before they are trained, so that fewer of them suffice. On error
 * nothing changes.
 *
 * @param[in]  model   what they are for
 * @param[out] how     by how much, in the units of the device
 * @param[in]  shift_h rows at most, below input_h
 * @param[in]  shift_w columns at most, below input_w
 * @param[in]  gain    share at most, in [0, 1]
 * @param[in]  offset  of all values alike at most, real units, up to 255 * input_scale
 * @param[in]  noise   standard deviation of that of each value, real units, up to 147.2 * input_scale
 * @param[in]  seed    of the random numbers
 * @return MCG_ERR_NULL, or MCG_ERR_ARG
 *
 * In a model: augment_init, with augment.
 * Reference: ops/life/augment.py::augment_init.
 */
mcg_status_t mcg_augment_init(const mcg_model_t *model, mcg_augment_t *how, int32_t shift_h, int32_t shift_w,
                              float gain, float offset, float noise, uint32_t seed);

/**
 * @brief Shift a sample at random, scale it, add noise, differently each time. On error nothing changes.
 *
 * @param[in]     model what it is for
 * @param[in,out] how   by how much; it counts
 * @param[in]     x     sample, [input_size]
 * @param[out]    y     changed sample, [input_size]; must not overlap x
 * @return MCG_ERR_NULL, or MCG_ERR_ARG for changes that cannot be
 *
 * In a model: augment, with augment.
 * Reference: ops/life/augment.py::augment.
 */
mcg_status_t mcg_augment(const mcg_model_t *model, mcg_augment_t *how, const int8_t *x, int8_t *y);

/**
 * @brief Keep the state of a model as the one to come back to. Its error is not known.
 *
 * @param[in]  model    what it is
 * @param[in]  m        the model's memory
 * @param[out] snapshot of that model
 * @return MCG_ERR_NULL, or MCG_ERR_STATE for a model that is not initialised
 *
 * In a model: snapshot, with guard.
 * Reference: ops/life/guard.py::keep.
 */
mcg_status_t mcg_snapshot(const mcg_model_t *model, const void *m, void *snapshot);

/**
 * @brief Come back to the state kept: all that was learned. Schedule, running means and step counter go on,
 * so that time does not run backwards.
 *
 * @param[in]     model    what it is
 * @param[in,out] m        the model's memory
 * @param[in]     snapshot of that model
 * @return MCG_ERR_NULL, or MCG_ERR_STATE for a model or a snapshot that holds none
 *
 * In a model: rollback, with guard.
 * Reference: ops/life/guard.py::rollback.
 */
mcg_status_t mcg_rollback(const mcg_model_t *model, void *m, const void *snapshot);

/**
 * @brief Error of one sample, summed over its outputs: 1 for each class or bit that is wrong, squares of
 * differences between values in real units.
 *
 * @param[in]     model what it is
 * @param[in,out] m     the model's memory; nothing that was learned changes
 * @param[in]     x     sample, [input_size]
 * @param[in]     label what its outputs should be
 * @param[out]    error of the sample
 *
 * Reference: ops/life/guard.py::guard_error.
 */
void mcg_guard_error(const mcg_model_t *model, void *m, const int8_t *x, const void *label, float *error);

/**
 * @brief Test a model; keep its state if none was better so far, come back to the best one if it is worse by
 * more than the margin. The error is the share of labels that are wrong; for values their mean squared error
 * in real units.
 *
 * @param[in]     model    what it is
 * @param[in,out] m        the model's memory
 * @param[in,out] snapshot the best state so far; of no model or another one: none yet
 * @param[in]     x        samples, [samples][input_size]
 * @param[in]     labels   of the samples
 * @param[in]     samples  at least 1
 * @param[in]     margin   finite, not below 0
 * @param[out]    result   what was found, or NULL
 * @return MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_ARG, or MCG_ERR_LABEL for a class that there is not
 *
 * In a model: guard, with guard.
 * Reference: ops/life/guard.py::guard.
 */
mcg_status_t mcg_guard(const mcg_model_t *model, void *m, void *snapshot, const int8_t *x, const void *labels,
                       uint32_t samples, float margin, mcg_guard_t *result);

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
 * In a model: replay_init, with replay.
 * Reference: ops/life/replay_buffer.py::replay_init.
 */
mcg_status_t mcg_replay_init(const mcg_model_t *model, mcg_replay_t *replay, uint32_t *memory, uint32_t words,
                             uint32_t seed);

/**
 * @brief Offer a sample to a replay buffer.
 *
 * @param[in]     model  what the samples are for
 * @param[in,out] replay of that model
 * @param[in]     x      sample, [input_size]
 * @param[in]     label  what the outputs should be
 * @return MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_LABEL for a class that there is not
 *
 * In a model: replay_add, with replay.
 * Of latents: x is latents of the sample, [latents_size].
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
 * @brief Remember what a model says now about every stored sample, so that it forgets less. These are trained
 * towards that, a soft label, from now on, not towards their labels; samples that enter later have their
 * labels alone until it is called again.
 *
 * @param[in]     model  what it is; labels are classes
 * @param[in,out] m      the model's memory; nothing that was learned changes
 * @param[in,out] replay of that model
 * @return MCG_ERR_NULL, or MCG_ERR_STATE
 *
 * In a model: replay_remember, with replay and soft.
 * Reference: ops/life/replay_buffer.py::replay_remember.
 */
mcg_status_t mcg_replay_remember(const mcg_model_t *model, void *m, mcg_replay_t *replay);

/**
 * @brief Learn from a sample and, when it is its turn, from a stored one, so that what was known is not
 * forgotten. Then the sample is offered to the buffer, if that collects. On error nothing changes.
 *
 * @param[in]     model  what it is
 * @param[in,out] m      the model's memory
 * @param[in,out] replay of that model; where it says how, both samples change first, but for one with a soft
 *                       label; what enters is the sample as it came
 * @param[in]     x      sample, [input_size]
 * @param[in]     label  what its outputs should be
 * @param[out]    step   what the step on the new sample reports, or NULL
 * @return MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_LABEL for a class that there is not, or MCG_ERR_ARG for
 * changes that cannot be
 *
 * In a model: train_replay, with replay.
 * Reference: ops/life/train.py::train_replay.
 */
mcg_status_t mcg_train_replay(const mcg_model_t *model, void *m, mcg_replay_t *replay, const int8_t *x,
                              const void *label, void *step);

/**
 * @brief Compute what a replay buffer holds of a sample: what the layers that do not train make of it.
 * Changes nothing that was learned.
 *
 * @param[in]     rest    what follows these layers
 * @param[in,out] m       the model's memory
 * @param[in]     x       sample, [input_size]
 * @param[out]    latents of the sample, [latents_size]
 * @return MCG_ERR_NULL, or MCG_ERR_STATE
 *
 * In a model: latents, with latents.
 * Reference: ops/life/latents.py::latents.
 */
mcg_status_t mcg_latents(const mcg_rest_t *rest, void *m, const int8_t *x, int8_t *latents);

/**
 * @brief Learn from a sample and, when it is its turn, from the latents of a stored one, so that what was
 * known is not forgotten. Then those of the sample are offered to the buffer, if that collects. On error
 * nothing changes.
 *
 * @param[in]     rest   what follows the layers that do not train
 * @param[in,out] m      the model's memory
 * @param[in,out] replay of that model, with room for the latents of the sample in `scratch`; it must not say
 *                       how samples change
 * @param[in]     x      sample, [input_size]
 * @param[in]     label  what its outputs should be
 * @param[out]    step   what the step on the new sample reports, or NULL
 * @return MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_LABEL for a class that there is not, or MCG_ERR_ARG for
 * changes
 *
 * In a model: train_replay, with latents.
 * Reference: ops/life/latents.py::train_latents.
 */
mcg_status_t mcg_train_latents(const mcg_rest_t *rest, void *m, mcg_replay_t *replay, const int8_t *x,
                               const void *label, void *step);

#endif /* MCG_LIFE_CALLS_H */
