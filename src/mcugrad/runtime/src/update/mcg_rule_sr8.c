/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

static void mcg_sr8_grow(int8_t *w, uint8_t *residual, int32_t count)
{
    (void)residual;
    mcg_shrink_s8(w, count);
}

const mcg_rule_t mcg_rule_sr8 = {mcg_sr8_step, mcg_sr8_grow, 0, true};
