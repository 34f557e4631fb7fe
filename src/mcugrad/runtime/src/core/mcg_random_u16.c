/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_random_u16(uint32_t counter, int32_t count, uint16_t *random)
{
    for (int32_t first = 0; first < count; first += MCG_DRAWN) {
        /* Two loops, because compilers vectorise the hash only without the stores to every fourth element. */
        uint32_t word[MCG_DRAWN / 4];
        uint16_t *block = random + first;
        const int32_t words = mcg_min((count - first + 3) / 4, MCG_DRAWN / 4);
        for (int32_t i = 0; i < words; i++) {
            word[i] = mcg_hash(counter + (uint32_t)i * MCG_COUNTER_STEP);
        }
        for (int32_t i = 0; i < words; i++) {
            const uint32_t turned = (word[i] >> 8) | (word[i] << 24);
            block[4 * i] = (uint16_t)word[i];
            block[4 * i + 1] = (uint16_t)(word[i] >> 16);
            block[4 * i + 2] = (uint16_t)turned;
            block[4 * i + 3] = (uint16_t)(turned >> 16);
        }
        counter += (MCG_DRAWN / 4) * MCG_COUNTER_STEP;
    }
}
