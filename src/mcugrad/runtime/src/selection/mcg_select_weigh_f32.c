/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_weigh_f32(int32_t pixels, const uint16_t *active, const int32_t *odds, float *kept)
{
    const int32_t count = active[0];
    for (int32_t k = 0; k < count; k++) {
        const float factor = 65536.0F / (float)odds[k];
        for (int32_t i = 0; i < pixels; i++) {
            kept[i * count + k] *= factor;
        }
    }
}
