/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_update_row(const mcg_rule_t *rule, const int32_t *gradient, int32_t count, int32_t o,
                    const mcg_scale_t *factor, uint32_t stream, int8_t *w, uint8_t *residual, float *w_scale)
{
    const uint32_t words = ((uint32_t)count + 3U) / 4U;
    const uint32_t counter = stream + (uint32_t)o * words * MCG_COUNTER_STEP;
    int8_t *row = w + o * count;
    uint8_t *low = mcg_residual_at(residual, o * ((count * rule->residual_bits + 7) / 8));
    if (rule->step(row, low, gradient, count, 0, factor[o], counter)) {
        rule->grow(row, low, count);
        w_scale[o] *= MCG_GROWTH;
    }
}
