/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Eight errors, by factors as they lie in memory; returns their magnitudes before saturation. */
static inline mcg_words_t mcg_error_eight(const int32_t *acc, const int8_t *x, int32_t x_zero,
                                          const mcg_scale_t *scale, const int32_t *clip, int8_t *e)
{
    mcg_words_t factor;
    const mcg_words_t value = mcg_widen_words(x) - x_zero;
    const mcg_words_t steep = (value > clip[0]) & (value < clip[1]);
    mcg_words_t error;
    __builtin_memcpy(&factor, scale, sizeof factor);
    error = mcg_rescale_words(mcg_load_words(acc), factor) & steep;
    mcg_store_eight(e, mcg_clamp_words(error, mcg_all_words(-127), mcg_all_words(127)));
    return mcg_abs_words(error);
}

int32_t mcg_error_s8(const int32_t *MCG_RESTRICT acc, const int8_t *MCG_RESTRICT x, int32_t x_zero,
                     const mcg_scale_t *MCG_RESTRICT scale, const int32_t *clip, int32_t count,
                     int8_t *MCG_RESTRICT e)
{
    mcg_words_t highest = {0};
    int32_t i = 0;
    for (; i + MCG_LANES_8 <= count; i += MCG_LANES_8) {
        highest = mcg_max_words(highest, mcg_error_eight(acc + i, x + i, x_zero, scale + i, clip, e + i));
    }
    if (i < count) {
        static const mcg_scale_t none = {0, 32, 0};
        const size_t rest = (size_t)(count - i);
        int32_t sums[MCG_LANES_8] = {0};
        int8_t values[MCG_LANES_8] = {0};
        int8_t errors[MCG_LANES_8];
        mcg_scale_t factors[MCG_LANES_8] = {none, none, none, none, none, none, none, none};
        __builtin_memcpy(sums, acc + i, rest * sizeof sums[0]);
        __builtin_memcpy(values, x + i, rest);
        __builtin_memcpy(factors, scale + i, rest * sizeof factors[0]);
        highest = mcg_max_words(highest, mcg_error_eight(sums, values, x_zero, factors, clip, errors));
        __builtin_memcpy(e + i, errors, rest);
    }
    return mcg_largest(highest);
}
