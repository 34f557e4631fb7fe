/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

static void mcg_sr8_grow(int8_t *w, uint8_t *residual, int32_t count)
{
#if MCG_HAS_DSP
    const int32_t done = mcg_shrink_fours(w, count);
#else
    const int32_t done = 0;
#endif
    (void)residual;
    for (int32_t i = done; i < count; i++) {
        w[i] = (int8_t)((w[i] * MCG_SHRINK + 0x8000) >> 16);
    }
}

const mcg_rule_t mcg_rule_sr8 = {mcg_sr8_step, mcg_sr8_grow, 0, true};
