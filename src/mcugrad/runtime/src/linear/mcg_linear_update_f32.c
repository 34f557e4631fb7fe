/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_linear_update_f32(int32_t inputs, int32_t out, const float *MCG_RESTRICT x, const float *e,
                           const uint16_t *active, const float *rate, float *MCG_RESTRICT w)
{
    const float step = *rate;
    const int32_t count = mcg_active_count(active, out);
    for (int32_t k = 0; k < count; k++) {
        const float error = e[k];
        if (error != 0.0F) {
            float *MCG_RESTRICT row = w + mcg_active_at(active, k) * inputs;
            for (int32_t i = 0; i < inputs; i++) {
                row[i] -= step * (error * x[i]);
            }
        }
    }
}
