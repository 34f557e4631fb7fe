/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_random_u16(uint32_t counter, int32_t count, uint16_t *random)
{
    for (int32_t i = 0; i < count; i += 4) {
        const uint32_t word = mcg_hash(counter);
        const uint32_t turned = (word >> 8) | (word << 24);
        random[i] = (uint16_t)word;
        random[i + 1] = (uint16_t)(word >> 16);
        random[i + 2] = (uint16_t)turned;
        random[i + 3] = (uint16_t)(turned >> 16);
        counter += MCG_COUNTER_STEP;
    }
}
