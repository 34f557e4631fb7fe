/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_combine_f32(int32_t rows, int32_t count, const float *MCG_RESTRICT e, const uint16_t *active,
                     const float *MCG_RESTRICT w, float *MCG_RESTRICT sum)
{
    for (int32_t i = 0; i < count; i++) {
        sum[i] = 0.0F;
    }
    for (int32_t r = 0; r < rows; r++) {
        if (e[r] != 0.0F) {
            mcg_add_scaled_f32(count, e + r, w + mcg_active_at(active, r) * count, sum);
        }
    }
}
