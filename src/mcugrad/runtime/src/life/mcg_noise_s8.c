/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_noise_s8(int32_t count, uint32_t counter, int8_t *x)
{
    for (int32_t i = 0; i < count; i++) {
        x[i] = (int8_t)((int32_t)(mcg_hash(counter + (uint32_t)i) >> 24) - 128);
    }
}
