/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_panel_begin(int32_t rows, const uint16_t *active, int32_t first, int32_t weights, int32_t pixels,
                     const mcg_scale_t *factor, const mcg_rule_t *rule, uint32_t stream, mcg_panel_row_t *row)
{
    const uint32_t words = ((uint32_t)weights + 3U) / 4U;
    const int32_t bytes = (weights * rule->residual_bits + 7) >> 3;
    const int32_t largest =
        (MCG_ACC_LIMIT - 1) / (127 * 255); /* pixels whose products stay below the limit */
    for (int32_t i = 0; i < rows; i++) {
        const int32_t o = mcg_active_at(active, first + i);
        const mcg_scale_t scale = factor[o];
        row->w = o * weights;
        row->residual = o * bytes;
        row->counter = stream + (uint32_t)o * words * MCG_COUNTER_STEP;
        row->scale = scale;
        row->factor = (int32_t)((uint32_t)scale.mult << (32U - scale.shift));
        row->most = scale.pre == 0 || pixels <= largest >> scale.pre
                        ? 0
                        : mcg_max(1, (MCG_ACC_LIMIT - 1) >> scale.pre);
        row->saturated = 0U;
        row++;
    }
}
