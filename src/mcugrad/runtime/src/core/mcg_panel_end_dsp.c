/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_panel_end(int32_t rows, const uint16_t *active, int32_t first, int32_t weights,
                   const mcg_rule_t *rule, const mcg_panel_row_t *row, int8_t *w, uint8_t *residual,
                   float *w_scale)
{
    for (int32_t i = 0; i < rows; i++) {
        if (row[i].saturated != 0U) {
            rule->grow(w + row[i].w, mcg_residual_at(residual, row[i].residual), weights);
            w_scale[mcg_active_at(active, first + i)] *= MCG_GROWTH;
        }
    }
}
