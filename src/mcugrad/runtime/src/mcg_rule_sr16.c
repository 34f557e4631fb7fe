/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

static bool mcg_sr16_step(int8_t *w, uint8_t *residual, const int32_t *gradient, int32_t count, int32_t first,
                          mcg_scale_t factor, uint32_t counter)
{
    int32_t over = 0;
    (void)first;
    (void)counter; /* eight residual bits keep small steps: rounding to nearest needs no random number */
    for (int32_t i = 0; i < count; i++) {
        const int32_t d = mcg_rescale(-gradient[i], factor);
        const int32_t v = w[i] * 256 + residual[i] + ((d + 128) >> 8);
        const int32_t kept = mcg_clamp(v, -127 * 256, 127 * 256 + 255);
        over |= v ^ kept;
        w[i] = (int8_t)(kept >> 8);
        residual[i] = (uint8_t)kept;
    }
    return over != 0;
}

static void mcg_sr16_grow(int8_t *w, uint8_t *residual, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t master = w[i] * 256 + residual[i] - 128;
        const int32_t v = ((master * MCG_SHRINK + 0x8000) >> 16) + 128;
        w[i] = (int8_t)(v >> 8);
        residual[i] = (uint8_t)v;
    }
}

const mcg_rule_t mcg_rule_sr16 = {mcg_sr16_step, mcg_sr16_grow, 8};
