/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* 32 weights. */
static inline void mcg_sr8_step_lanes(int8_t *w, const int32_t *gradient, const mcg_steps_t *steps,
                                      uint32_t counter, mcg_halves_t *over)
{
    mcg_halves_t random[2];
    mcg_halves_t kept[2];
    mcg_random_halves(counter, random);
    for (int32_t i = 0; i < 2; i++) {
        const int32_t *const from = gradient + i * MCG_LANES_16;
        const mcg_words_t d[2] = {mcg_rescale_less(mcg_load_apart(from), steps),
                                  mcg_rescale_less(mcg_load_apart(from + 4), steps)};
        kept[i] = mcg_sr8_weights(w + i * MCG_LANES_16, d, random[i], over);
    }
    mcg_store_narrow(w, kept[0], kept[1]);
}

bool mcg_sr8_step(int8_t *MCG_RESTRICT w, uint8_t *MCG_RESTRICT residual,
                  const int32_t *MCG_RESTRICT gradient, int32_t count, int32_t first, mcg_scale_t factor,
                  uint32_t counter)
{
    const mcg_steps_t steps = mcg_steps(factor);
    mcg_halves_t over = {0};
    (void)residual;
    counter += ((uint32_t)first / 4U) * MCG_COUNTER_STEP;
    for (; count >= MCG_LANES_32; count -= MCG_LANES_32) {
        mcg_sr8_step_lanes(w, gradient, &steps, counter, &over);
        w += MCG_LANES_32;
        gradient += MCG_LANES_32;
        counter += MCG_LANES_32 / 4 * MCG_COUNTER_STEP;
    }
    if (count > 0) {
        int8_t few[MCG_LANES_32] = {0};
        int32_t theirs[MCG_LANES_32] = {0};
        __builtin_memcpy(few, w, (size_t)count);
        __builtin_memcpy(theirs, gradient, (size_t)count * sizeof theirs[0]);
        mcg_sr8_step_lanes(few, theirs, &steps, counter, &over);
        __builtin_memcpy(w, few, (size_t)count);
    }
    return mcg_any_half(over);
}
