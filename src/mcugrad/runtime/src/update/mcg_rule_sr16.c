/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* One weight: the master value is 256 w + residual - 128, so that w is it rounded to nearest. Eight residual
 * bits keep small steps: the step itself is rounded to nearest and needs no random number. */
static inline int32_t mcg_sr16_weight(int8_t *w, uint8_t *residual, int32_t d)
{
    const int32_t v = *w * 256 + *residual + ((d + 128) >> 8);
    const int32_t kept = mcg_clamp(v, -127 * 256, 127 * 256 + 255);
    *w = (int8_t)(kept >> 8);
    *residual = (uint8_t)kept;
    return v ^ kept;
}

static bool mcg_sr16_step(int8_t *MCG_RESTRICT w, uint8_t *MCG_RESTRICT residual,
                          const int32_t *MCG_RESTRICT gradient, int32_t count, int32_t first,
                          mcg_scale_t factor, uint32_t counter)
{
    int32_t over = 0;
    (void)first;
    (void)counter;
    if (factor.pre == 0) { /* nearly always; with the test out of the loop both loops vectorise */
        for (int32_t i = 0; i < count; i++) {
            over |= mcg_sr16_weight(w + i, residual + i, mcg_rescale_core(-gradient[i], factor));
        }
    } else {
        for (int32_t i = 0; i < count; i++) {
            over |= mcg_sr16_weight(w + i, residual + i, mcg_rescale(-gradient[i], factor));
        }
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

const mcg_rule_t mcg_rule_sr16 = {mcg_sr16_step, mcg_sr16_grow, 8, false};
