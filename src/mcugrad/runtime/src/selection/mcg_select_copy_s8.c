/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_copy_s8(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                        int8_t *kept)
{
    const int32_t count = active[0];
    for (int32_t k = 0; k < count; k++) {
        const int8_t *from = e + active[1 + k];
        for (int32_t i = 0; i < pixels; i++) {
            kept[i * count + k] = from[i * channels];
        }
    }
}
