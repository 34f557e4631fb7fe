/* SPDX-License-Identifier: Apache-2.0 */
/* Update rules, what every update needs beside its layer's kernel, and what happens at the end of a batch. */
#ifndef MCG_UPDATE_H
#define MCG_UPDATE_H

#include "mcg_core.h"

/** sr8's `step`, of mcg_rule_t. */
bool mcg_sr8_step(int8_t *w, uint8_t *residual, const int32_t *gradient, int32_t count, int32_t first,
                  mcg_scale_t factor, uint32_t counter);

/** sr8: int8 weights, rounded at random. */
extern const mcg_rule_t mcg_rule_sr8;

/** sr10: int8 weights with 2 residual bits each, four in a byte, rounded at random. */
extern const mcg_rule_t mcg_rule_sr10;

/** sr12: int8 weights with 4 residual bits each, two in a byte, rounded at random. */
extern const mcg_rule_t mcg_rule_sr12;

/** sr16: int8 weights with 8 residual bits each, rounded to nearest. */
extern const mcg_rule_t mcg_rule_sr16;

/** qas: int8 weights, steps rounded to nearest, in a range that stays. */
extern const mcg_rule_t mcg_rule_qas;

/**
 * @brief factor[o] = 65536 * rate * c * x_scale / (w_scale[o] * to_scale[o]) / odds: gradient to 1/65536
 * steps.
 *
 * @param[in]  channels output channels
 * @param[in]  active   channels that take part, NULL for all; others get no factor
 * @param[in]  odds     with which they do, in 1/65536, in the order of the list; NULL where errors count once
 * @param[in]  rate     learning rate
 * @param[in]  c        unit of the error of the layer's output (its fill lies behind it)
 * @param[in]  x_scale  real units per step of the layer's input
 * @param[in]  w_scale  real units per step of the weights, [channels]
 * @param[in]  to_scale real units per step of what changes, [channels]: the weights, or a plane of changes
 * @param[out] factor   [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/update/update_s8.py::prepare_update.
 */
void mcg_prepare_update(int32_t channels, const uint16_t *active, const int32_t *odds, const float *rate,
                        const float *c, const float *x_scale, const float *w_scale, const float *to_scale,
                        mcg_scale_t *factor);

/**
 * @brief Applies the gradients of one row of weights; the row's scale grows if a weight saturated.
 *
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     gradient [count]
 * @param[in]     count    weights of a row
 * @param[in]     o        number of the row
 * @param[in]     factor   of all rows
 * @param[in]     stream   counter at which the tensor's random words begin: mcg_stream
 * @param[in,out] w        weights of all rows
 * @param[in,out] residual residual bits of all rows, or NULL
 * @param[in,out] w_scale  of all rows
 */
void mcg_update_row(const mcg_rule_t *rule, const int32_t *gradient, int32_t count, int32_t o,
                    const mcg_scale_t *factor, uint32_t stream, int8_t *w, uint8_t *residual, float *w_scale);

/**
 * @brief bias[o] -= rate * c / w_scale[o] / odds * sum of e[.][o].
 *
 * @param[in]     pixels   errors per channel
 * @param[in]     channels output channels
 * @param[in]     e        error of the layer's output, [pixels][channels]
 * @param[in]     active   channels that take part: e holds these alone; NULL for all
 * @param[in]     odds     with which they do, in 1/65536, in the order of the list; NULL where errors count
 * once
 * @param[in]     rate     learning rate
 * @param[in]     c        unit of the error (its fill lies behind it)
 * @param[in]     w_scale  [channels], as it was when the error was computed
 * @param[in,out] bias     [channels], real units
 *
 * MACs: none. Scratch: none. Reference: ops/update/update_s8.py::bias_update.
 */
void mcg_bias_update(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                     const int32_t *odds, const float *rate, const float *c, const float *w_scale,
                     float *bias);

/**
 * @brief w -= rate * decay * w of the rows that take part. Each step takes every MCG_DECAY_TURNS-th of them,
 * and so many times as much of it.
 *
 * @param[in]     out      rows
 * @param[in]     count    weights of a row
 * @param[in]     active   rows that take part, the same in every step; NULL for all
 * @param[in]     decay    weight decay
 * @param[in]     rate     learning rate
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the random numbers
 * @param[in]     step     training steps so far
 * @param[in]     tensor   16 times the number of the layer, for random numbers
 * @param[in,out] w        [out][count]
 * @param[in,out] residual the rule's residual bits, one row per output channel, or NULL
 *
 * MACs: none. Stack: 2 MCG_BLOCK words, the rule. Reference: ops/update/update_s8.py::decay_weights.
 */
void mcg_decay_weights(int32_t out, int32_t count, const uint16_t *active, const float *decay,
                       const float *rate, const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step,
                       uint32_t tensor, int8_t *w, uint8_t *residual);

/**
 * @brief mean = rate / batch: with it a batch's changes add up to those of the mean gradient.
 *
 * @param[in]  rate  learning rate
 * @param[in]  batch samples of a batch
 * @param[out] mean  rate for each of them
 *
 * MACs: none. Scratch: none. Reference: ops/update/update_s8.py::mean_rate.
 */
void mcg_mean_rate(const float *rate, int32_t batch, float *mean);

/**
 * @brief Some kept changes as integers: in 1/256 of the plane's scale, or whole ones where residual is NULL.
 *
 * @param[in]  change   [count]
 * @param[in]  residual [count], or NULL for a plane of 8 bits
 * @param[in]  count    number of changes
 * @param[out] value    [count], at most 32640 in magnitude
 */
void mcg_change_block(const int8_t *change, const uint8_t *residual, int32_t count, int32_t *value);

/**
 * @brief At the end of a batch: w += the changes kept of it, by the update rule; they are kept on by
 * momentum.
 *
 * A plane of changes is stored as weights of sr8 or sr16 are, with a scale of its own per row, and filled by
 * the kernel that else updates the weights. Where less than an eighth of a row's range was in use, its scale
 * shrinks by 1/1.25, at every 16th batch.
 *
 * @param[in]     out      rows
 * @param[in]     count    weights of a row, at most 66,000
 * @param[in]     batch    samples of a batch
 * @param[in]     momentum share of a change that is kept, in 1/65536
 * @param[in]     clip     largest change of a row, in norms of the row and units of rate; NULL for none
 * @param[in]     rate     learning rate
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the random numbers
 * @param[in]     step     training steps so far
 * @param[in]     tensor   16 times the number of the layer, for random numbers
 * @param[in,out] w        [out][count]
 * @param[in,out] residual the rule's residual bits, one row per output channel, or NULL
 * @param[in,out] w_scale  [out]
 * @param[in,out] change   [out][count]
 * @param[in,out] change_residual [out][count], or NULL for a plane of 8 bits
 * @param[in,out] change_scale [out]
 * @param[out]    kept     share of each row's change that clipping left, [out]; NULL where clip is
 *
 * MACs: none. Stack: 3 MCG_BLOCK words, the rule. Reference: ops/update/apply_s8.py::apply_update.
 */
void mcg_apply_update(int32_t out, int32_t count, int32_t batch, int32_t momentum, const float *clip,
                      const float *rate, const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step,
                      uint32_t tensor, int8_t *w, uint8_t *residual, float *w_scale, int8_t *change,
                      uint8_t *change_residual, float *change_scale, float *kept);

/**
 * @brief At the end of a batch: bias += the changes kept of it; they are kept on by momentum.
 *
 * @param[in]     channels number of biases
 * @param[in]     batch    samples of a batch
 * @param[in]     momentum share of a change that is kept, in 1/65536
 * @param[in]     step     training steps so far
 * @param[in]     kept     share of each change that clipping left, [channels]; NULL for all of it
 * @param[in,out] change   [channels]
 * @param[in,out] bias     [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/update/apply_s8.py::apply_bias.
 */
void mcg_apply_bias(int32_t channels, int32_t batch, int32_t momentum, const uint32_t *step,
                    const float *kept, float *change, float *bias);

/**
 * @brief At the end of a batch: weights move by standardized gradients, and get the scale and the zero point
 * that their range asks for.
 *
 * @param[in]     out      rows
 * @param[in]     count    weights of a row
 * @param[in]     batch    samples of a batch
 * @param[in]     rate     learning rate
 * @param[in]     step     training steps so far
 * @param[in,out] w        [out][count]
 * @param[in,out] w_scale  [out], all the same
 * @param[in,out] w_zero   zero point, one for all
 * @param[in,out] change   minus the mean gradient, [out][count]; 0 afterwards
 * @param[in,out] change_residual [out][count], or NULL for a plane of 8 bits
 * @param[in,out] change_scale [out]
 * @param[in,out] mean     moving average of each row's mean, [out]
 * @param[in,out] deviation moving average of each row's standard deviation, [out]
 *
 * MACs: none. Stack: 2 MCG_BLOCK words. Reference: ops/update/apply_s8.py::apply_standardized.
 */
void mcg_apply_standardized(int32_t out, int32_t count, int32_t batch, const float *rate,
                            const uint32_t *step, int8_t *w, float *w_scale, int32_t *w_zero, int8_t *change,
                            uint8_t *change_residual, float *change_scale, float *mean, float *deviation);

/**
 * @brief bias[o] -= rate * sum over pixels of e[., o], first pixel first.
 *
 * @param[in]  active channels that take part: e holds these alone; NULL for all
 *
 * Reference: ops/update/update_f32.py::bias_update_f32.
 */
void mcg_bias_update_f32(int32_t pixels, int32_t channels, const float *e, const uint16_t *active,
                         const float *rate, float *bias);

/**
 * @brief All rows of a plane of weights and of its residual bits: those that train from RAM, others from
 * flash.
 *
 * @param[in]  rows             rows of the plane
 * @param[in]  count            weights of a row
 * @param[in]  residual_count   bytes of a row's residual bits; 0 where residual is NULL
 * @param[in]  active           channels that train: their number, then each, ascending
 * @param[in]  frozen           rows that do not, [rows - active[0]][count]
 * @param[in]  frozen_residual  residual bits of those, [rows - active[0]][residual_count], or NULL
 * @param[in]  trained          rows that do, [active[0]][count]
 * @param[in]  trained_residual residual bits of those, [active[0]][residual_count], or NULL
 * @param[out] w                all of them, [rows][count]; must not overlap what is read
 * @param[out] residual         residual bits of all, [rows][residual_count], or NULL
 *
 * MACs: none. Scratch: none. Reference: ops/update/rows.py::gather_rows_s8.
 */
void mcg_gather_rows_s8(int32_t rows, int32_t count, int32_t residual_count, const uint16_t *active,
                        const int8_t *frozen, const uint8_t *frozen_residual, const int8_t *trained,
                        const uint8_t *trained_residual, int8_t *w, uint8_t *residual);

/**
 * @brief Of a plane of weights and of its residual bits the rows that train, side by side.
 *
 * @param[in]  count            weights of a row
 * @param[in]  residual_count   bytes of a row's residual bits; 0 where residual is NULL
 * @param[in]  active           channels that train: their number, then each, ascending
 * @param[in]  w                all rows
 * @param[in]  residual         residual bits of all, or NULL
 * @param[out] trained          rows that train, [active[0]][count]; must not overlap w
 * @param[out] trained_residual residual bits of those, [active[0]][residual_count], or NULL
 *
 * MACs: none. Scratch: none. Reference: ops/update/rows.py::scatter_rows_s8.
 */
void mcg_scatter_rows_s8(int32_t count, int32_t residual_count, const uint16_t *active, const int8_t *w,
                         const uint8_t *residual, int8_t *trained, uint8_t *trained_residual);

/**
 * @brief All rows of float weights: those that train from RAM, others from flash.
 *
 * @param[in]  rows    rows of the weights
 * @param[in]  count   weights of a row
 * @param[in]  active  channels that train: their number, then each, ascending
 * @param[in]  frozen  rows that do not, [rows - active[0]][count]
 * @param[in]  trained rows that do, [active[0]][count]
 * @param[out] w       all of them, [rows][count]; must not overlap what is read
 *
 * Reference: ops/update/rows.py::gather_rows_f32.
 */
void mcg_gather_rows_f32(int32_t rows, int32_t count, const uint16_t *active, const float *frozen,
                         const float *trained, float *w);

/**
 * @brief Of float weights the rows that train, side by side.
 *
 * @param[in]  count   weights of a row
 * @param[in]  active  channels that train: their number, then each, ascending
 * @param[in]  w       all rows
 * @param[out] trained rows that train, [active[0]][count]; must not overlap w
 *
 * Reference: ops/update/rows.py::scatter_rows_f32.
 */
void mcg_scatter_rows_f32(int32_t count, const uint16_t *active, const float *w, float *trained);

#endif /* MCG_UPDATE_H */
