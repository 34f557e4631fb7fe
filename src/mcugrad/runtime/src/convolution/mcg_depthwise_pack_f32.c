/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_depthwise_pack_f32(const float *w, const uint16_t *active, int32_t taps, int32_t count,
                            float *packed)
{
    for (int32_t c = 0; c < count; c++) {
        const float *row = w + mcg_active_at(active, c) * taps;
        for (int32_t tap = 0; tap < taps; tap++) {
            packed[tap * count + c] = row[tap];
        }
    }
}
