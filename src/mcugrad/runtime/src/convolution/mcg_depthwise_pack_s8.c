/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_depthwise_pack_s8(const int8_t *w, int32_t taps, int32_t pitch, int32_t count,
                           int8_t *MCG_RESTRICT packed)
{
    for (int32_t i = 0; i < count; i++) {
        for (int32_t k = 0; k < taps; k++) {
            packed[k * count + i] = w[k];
        }
        w += pitch;
    }
}
