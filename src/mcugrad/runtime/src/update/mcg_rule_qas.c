/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

static bool mcg_qas_step(int8_t *MCG_RESTRICT w, uint8_t *MCG_RESTRICT residual,
                         const int32_t *MCG_RESTRICT gradient, int32_t count, int32_t first,
                         mcg_scale_t factor, uint32_t counter)
{
    (void)residual;
    (void)first;
    (void)counter;
    if (factor.pre == 0) { /* nearly always; with the test out of the loop both loops vectorise */
        for (int32_t i = 0; i < count; i++) {
            const int32_t d = mcg_rescale_core(-gradient[i], factor);
            w[i] = (int8_t)mcg_clamp(w[i] + ((d + 0x8000) >> 16), -127, 127);
        }
    } else {
        for (int32_t i = 0; i < count; i++) {
            const int32_t d = mcg_rescale(-gradient[i], factor);
            w[i] = (int8_t)mcg_clamp(w[i] + ((d + 0x8000) >> 16), -127, 127);
        }
    }
    return false; /* the range is fixed */
}

/* Never called: no step asks for it. */
static void mcg_qas_grow(int8_t *w, uint8_t *residual, int32_t count)
{
    (void)w;
    (void)residual;
    (void)count;
}

const mcg_rule_t mcg_rule_qas = {mcg_qas_step, mcg_qas_grow, 0, false};
