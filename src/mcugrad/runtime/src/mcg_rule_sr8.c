/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

static bool mcg_sr8_step(int8_t *w, uint8_t *residual, const int32_t *gradient, int32_t count, int32_t first,
                         mcg_scale_t factor, uint32_t counter)
{
    int32_t over = 0;
    (void)residual;
    for (int32_t start = 0; start < count; start += MCG_BLOCK) {
        uint16_t random[MCG_BLOCK];
        const int32_t n = mcg_min(count - start, MCG_BLOCK);
        mcg_random_u16(counter + ((uint32_t)(first + start) / 4U) * MCG_COUNTER_STEP, n, random);
        for (int32_t i = 0; i < n; i++) {
            const int32_t d = mcg_rescale(-gradient[start + i], factor);
            const int32_t v = (w[start + i] * 65536 + random[i] + d) >> 16;
            const int32_t kept = mcg_clamp(v, -127, 127);
            over |= v ^ kept;
            w[start + i] = (int8_t)kept;
        }
    }
    return over != 0;
}

static void mcg_sr8_grow(int8_t *w, uint8_t *residual, int32_t count)
{
    (void)residual;
    for (int32_t i = 0; i < count; i++) {
        w[i] = (int8_t)((w[i] * MCG_SHRINK + 0x8000) >> 16);
    }
}

const mcg_rule_t mcg_rule_sr8 = {mcg_sr8_step, mcg_sr8_grow, 0};
