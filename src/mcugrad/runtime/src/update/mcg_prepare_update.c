/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prepare_update(int32_t channels, const uint16_t *active, const int32_t *odds, const float *rate,
                        const float *c, const float *x_scale, const float *w_scale, const float *to_scale,
                        mcg_scale_t *factor)
{
    const float ratio = *rate * *c * *x_scale * 65536.0F;
    const int32_t count = mcg_active_count(active, channels);
    for (int32_t k = 0; k < count; k++) {
        const int32_t o = mcg_active_at(active, k);
        float value = ratio / (w_scale[o] * to_scale[o]);
        if (odds != NULL) {
            value *= 65536.0F / (float)odds[k];
        }
        factor[o] = mcg_scale_from_float(value);
    }
}
