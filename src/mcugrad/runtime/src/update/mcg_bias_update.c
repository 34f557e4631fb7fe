/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_bias_update(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                     const int32_t *odds, const float *rate, const float *c, const float *w_scale,
                     float *bias)
{
    const float ratio = *rate * *c;
    const int32_t count = mcg_active_count(active, channels);
    for (int32_t k = 0; k < count; k++) {
        const int32_t o = mcg_active_at(active, k);
        float share = ratio / w_scale[o];
        int32_t sum = 0;
        for (int32_t i = 0; i < pixels; i++) {
            sum += e[i * count + k];
        }
        if (odds != NULL) {
            share *= 65536.0F / (float)odds[k];
        }
        bias[o] -= share * (float)sum;
    }
}
