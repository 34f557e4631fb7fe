/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_bias_update_f32(int32_t pixels, int32_t channels, const float *e, const uint16_t *active,
                         const float *rate, float *bias)
{
    const int32_t count = mcg_active_count(active, channels);
    for (int32_t k = 0; k < count; k++) {
        float total = 0.0F;
        for (int32_t i = 0; i < pixels; i++) {
            total += e[i * count + k];
        }
        bias[mcg_active_at(active, k)] -= *rate * total;
    }
}
