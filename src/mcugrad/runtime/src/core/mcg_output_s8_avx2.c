/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Eight outputs; returns their magnitudes after clipping. */
static inline mcg_words_t mcg_output_eight(const int32_t *acc, const float *scale, const int32_t *clip,
                                           int32_t zero, int8_t *y)
{
    mcg_floats_t factor;
    mcg_words_t value;
    __builtin_memcpy(&factor, scale, sizeof factor);
    value = mcg_nearest_words(__builtin_convertvector(mcg_load_words(acc), mcg_floats_t) * factor);
    value = mcg_clamp_words(value, mcg_all_words(clip[0]), mcg_all_words(clip[1]));
    mcg_store_eight(y, mcg_clamp_words(value + zero, mcg_all_words(-128), mcg_all_words(127)));
    return mcg_abs_words(value);
}

int32_t mcg_output_s8(const int32_t *MCG_RESTRICT acc, const float *MCG_RESTRICT scale, const int32_t *clip,
                      int32_t zero, int32_t count, int8_t *MCG_RESTRICT y)
{
    mcg_words_t highest = {0};
    int32_t i = 0;
    for (; i + MCG_LANES_8 <= count; i += MCG_LANES_8) {
        highest = mcg_max_words(highest, mcg_output_eight(acc + i, scale + i, clip, zero, y + i));
    }
    if (i < count) {
        const size_t rest = (size_t)(count - i);
        int32_t sums[MCG_LANES_8] = {0};
        float factors[MCG_LANES_8] = {0.0F};
        int8_t outputs[MCG_LANES_8];
        mcg_words_t few;
        __builtin_memcpy(sums, acc + i, rest * sizeof sums[0]);
        __builtin_memcpy(factors, scale + i, rest * sizeof factors[0]);
        few = mcg_output_eight(sums, factors, clip, zero, outputs);
        __builtin_memcpy(y + i, outputs, rest);
        for (size_t k = 0; k < rest; k++) {
            highest[k] = mcg_max(highest[k], few[k]);
        }
    }
    return mcg_largest(highest);
}
