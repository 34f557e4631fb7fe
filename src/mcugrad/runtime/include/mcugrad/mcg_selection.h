/* SPDX-License-Identifier: Apache-2.0 */
/* Partial updates: which channels of a layer take part, and what their errors count. */
#ifndef MCG_SELECTION_H
#define MCG_SELECTION_H

#include "mcg_core.h"

/**
 * @brief ratio = loss / largest loss so far, which grows to this one first if it is
 * finite; 0 where that is 0.
 *
 * @param[in]     loss    of the sample
 * @param[in,out] largest loss so far
 * @param[out]    ratio   how wrong the network is, compared with the worst
 *
 * MACs: none. Scratch: none. Reference: ops/selection/select.py::select_ratio.
 */
void mcg_select_ratio(const float *loss, float *largest, float *ratio);

/**
 * @brief Importance of every channel: the sum of the magnitudes of its errors.
 *
 * @param[in]  pixels   errors per channel
 * @param[in]  channels output channels of the layer
 * @param[in]  e        error of its output, [pixels][channels], in [-127, 127]
 * @param[out] sum      of magnitudes, [channels]
 *
 * MACs: none. Scratch: none. Reference: ops/selection/select_s8.py::select_sums_s8.
 */
void mcg_select_sums_s8(int32_t pixels, int32_t channels, const int8_t *e, int32_t *sum);

/**
 * @brief 64 times the square root of every sum, rounded down.
 *
 * @param[in]  channels number of channels, at most 65535
 * @param[in]  sum      importance, [channels]; all together below 2^30
 * @param[out] root     of it, [channels]; all together below 2^30
 *
 * MACs: none. Scratch: none. Reference: ops/selection/select.py::select_roots_s32.
 */
void mcg_select_roots_s32(int32_t channels, const int32_t *sum, int32_t *root);

/**
 * @brief The `wanted`-th largest sum: those above it are among the `wanted` largest, and the first of its
 * like.
 *
 * @param[in]  channels number of channels
 * @param[in]  wanted   number of the sum, at least 1
 * @param[in]  sum      [channels]
 * @param[out] ties     how many that are equal to it are among them
 */
int32_t mcg_select_largest(int32_t channels, int32_t wanted, const int32_t *sum, int32_t *ties);

/**
 * @brief Lists the channels with the largest sums, of equal ones the first; those without an error never.
 *
 * @param[in]  channels number of channels, at most 65535
 * @param[in]  limits   smallest and largest share of channels, [2], in (0, 1]
 * @param[in]  ratio    where between them, in [0, 1]
 * @param[in]  sum      importance, [channels]
 * @param[out] active   list of channels, [1 + channels]
 *
 * MACs: none. Scratch: none. Reference: ops/selection/select.py::select_topk.
 */
void mcg_select_topk(int32_t channels, const float *limits, const float *ratio, const int32_t *sum,
                     uint16_t *active);

/**
 * @brief Marks the half of the channels to be kept that has the largest sums, of equal ones the first: they
 * are to take part in any case.
 *
 * @param[in]  channels number of channels, at most 65535
 * @param[in]  limits   smallest and largest share of channels, [2], in (0, 1]
 * @param[in]  ratio    where between them, in [0, 1]
 * @param[in]  sum      importance, [channels]
 * @param[out] marked   the same, [channels]; those of the half are negative
 *
 * MACs: none. Scratch: none. Reference: ops/selection/select.py::select_certain.
 */
void mcg_select_certain(int32_t channels, const float *limits, const float *ratio, const int32_t *sum,
                        int32_t *marked);

/**
 * @brief Draws channels with odds in proportion to their sums; those with a negative sum are certain.
 *
 * @param[in]  channels number of channels, at most 65535
 * @param[in]  limits   smallest and largest share of channels, [2], in (0, 1]
 * @param[in]  ratio    where between them, in [0, 1]
 * @param[in]  seed     of the random numbers
 * @param[in]  step     number of the training step
 * @param[in]  tensor   number of the random numbers: which channels of the layer
 * @param[in]  sum      importance, [channels]; magnitudes all together below 2^30
 * @param[out] active   list of channels, [1 + channels]
 * @param[out] odds     of those listed, in 1/65536, [channels], in the order of the list
 *
 * MACs: none. Scratch: none. Reference: ops/selection/select.py::select_sampled.
 */
void mcg_select_sampled(int32_t channels, const float *limits, const float *ratio, const uint32_t *seed,
                        const uint32_t *step, uint32_t tensor, const int32_t *sum, uint16_t *active,
                        int32_t *odds);

/**
 * @brief What the errors of drawn channels count: 1 / odds, in a unit that makes the largest of them 127.
 *
 * @param[in]     pixels   errors per channel
 * @param[in]     channels output channels of the layer
 * @param[in]     e        error of its output, [pixels][channels], in [-127, 127]
 * @param[in]     active   list of channels; each has an error
 * @param[in]     c        unit and fill of the error, [2]
 * @param[in,out] factor   odds of those listed, in 1/65536; then error to kept error in 1/65536
 * @param[out]    unit     unit and fill of the kept error, [2]
 *
 * MACs: none. Scratch: none. Reference: ops/selection/select_s8.py::select_unit_s8.
 */
void mcg_select_unit_s8(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                        const float *c, int32_t *factor, float *unit);

/**
 * @brief Whether the batch that a step belongs to is taken, and the share of channels that is updated, if
 * that is known.
 *
 * @param[in]     share    of the batches that are, in 1/65536
 * @param[in]     batch    samples of a batch
 * @param[in]     loss     of the sample: the odds follow it; NULL for the same odds for all
 * @param[in]     watch    the running mean that it is compared with; NULL if loss is
 * @param[in]     schedule how the learning rate runs: the odds follow one that falls; NULL if loss is
 * @param[in]     rate     learning rate of the step; NULL if loss is
 * @param[in]     seed     of the random numbers
 * @param[in]     step     number of the training step
 * @param[in]     stream   number of the random numbers in the model
 * @param[in]     whole    share of the channels that a step updates which is taken
 * @param[in,out] gain     by how much odds are larger, so that the share is kept; NULL if loss is
 * @param[out]    taken    1, or 0 where nothing is to be learned
 * @param[out]    updated  share of the channels that this step updates
 *
 * MACs: none. Scratch: none. Reference: ops/selection/select.py::select_samples.
 */
void mcg_select_samples(uint32_t share, uint32_t batch, const float *loss, const mcg_watch_t *watch,
                        const mcg_schedule_t *schedule, const float *rate, const uint32_t *seed,
                        const uint32_t *step, uint32_t stream, const float *whole, float *gain,
                        int32_t *taken, float *updated);

/**
 * @brief Counts the channels that take part, layer by layer; their share when all layers have been counted.
 *
 * @param[in]  whole      channels that take part in any case, counted with this layer's
 * @param[in]  structures channels of all layers that train
 * @param[in]  active     list of this layer's channels
 * @param[in]  before     count so far; NULL for none
 * @param[out] count      with this layer
 * @param[out] rate       share of the structures
 *
 * MACs: none. Scratch: none. Reference: ops/selection/select.py::select_share.
 */
void mcg_select_share(int32_t whole, int32_t structures, const uint16_t *active, const int32_t *before,
                      int32_t *count, float *rate);

/**
 * @brief The errors of the listed channels, side by side.
 *
 * @param[in]  pixels   errors per channel
 * @param[in]  channels output channels of the layer
 * @param[in]  e        error of its output, [pixels][channels]
 * @param[in]  active   list of channels
 * @param[out] kept     [pixels][active[0]]; must not overlap e
 *
 * MACs: none. Scratch: none. Reference: ops/selection/select_s8.py::select_copy_s8.
 */
void mcg_select_copy_s8(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                        int8_t *kept);

/**
 * @brief The errors of the listed channels, side by side, each times its channel's factor, rounded at random.
 *
 * @param[in]  pixels   errors per channel
 * @param[in]  channels output channels of the layer
 * @param[in]  e        error of its output, [pixels][channels], in [-127, 127]
 * @param[in]  active   list of channels
 * @param[in]  factor   in 1/65536, in the order of the list
 * @param[in]  seed     of the random numbers
 * @param[in]  step     number of the training step
 * @param[in]  tensor   number of the random numbers: rounding of the layer's errors
 * @param[out] kept     [pixels][active[0]], in [-127, 127]; must not overlap e
 *
 * MACs: none. Stack: MCG_BLOCK half-words. Reference: ops/selection/select_s8.py::select_scale_s8.
 */
void mcg_select_scale_s8(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                         const int32_t *factor, const uint32_t *seed, const uint32_t *step, uint32_t tensor,
                         int8_t *kept);

/**
 * @brief Importance of every channel: the sum of the magnitudes of its errors, first pixel first.
 *
 * @param[in]  pixels   errors per channel
 * @param[in]  channels output channels of the layer
 * @param[in]  e        error of its output, [pixels][channels]
 * @param[out] sum      bits of the sums, which order as they do, [channels]; infinity for NaN
 *
 * Reference: ops/selection/select_f32.py::select_sums_f32.
 */
void mcg_select_sums_f32(int32_t pixels, int32_t channels, const float *e, int32_t *sum);

/**
 * @brief Parts of 2^29 that the sums have in all of them, at least 1 where a sum is not 0.
 *
 * Where sums are infinite, these share all of it alike.
 *
 * @param[in]  channels number of channels, at most 65535
 * @param[in]  sum      bits of sums, none negative, [channels]
 * @param[out] part     together below 2^30, [channels]
 *
 * Reference: ops/selection/select_f32.py::select_parts_f32.
 */
void mcg_select_parts_f32(int32_t channels, const int32_t *sum, int32_t *part);

/**
 * @brief The errors of the listed channels, side by side, each times 1 / odds.
 *
 * @param[in]  pixels   errors per channel
 * @param[in]  channels output channels of the layer
 * @param[in]  e        error of its output, [pixels][channels]
 * @param[in]  active   list of channels
 * @param[in]  odds     of those listed, in 1/65536, in the order of the list; NULL for certain ones
 * @param[out] kept     [pixels][active[0]]; must not overlap e
 *
 * Reference: ops/selection/select_f32.py::select_copy_f32.
 */
void mcg_select_copy_f32(int32_t pixels, int32_t channels, const float *e, const uint16_t *active,
                         const int32_t *odds, float *kept);

/**
 * @brief Errors of listed channels, side by side, each times 1 / odds, in place.
 *
 * @param[in]     pixels errors per channel
 * @param[in]     active list of channels
 * @param[in]     odds   of those listed, in 1/65536, in the order of the list
 * @param[in,out] kept   [pixels][active[0]]
 *
 * Reference: ops/selection/select_f32.py::select_weigh_f32.
 */
void mcg_select_weigh_f32(int32_t pixels, const uint16_t *active, const int32_t *odds, float *kept);

#endif /* MCG_SELECTION_H */
