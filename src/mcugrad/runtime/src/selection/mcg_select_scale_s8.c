/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_scale_s8(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                         const int32_t *factor, const uint32_t *seed, const uint32_t *step, uint32_t tensor,
                         int8_t *kept)
{
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    const uint32_t words = ((uint32_t)pixels + 3U) / 4U;
    const int32_t count = active[0];
    uint16_t random[MCG_BLOCK];
    for (int32_t k = 0; k < count; k++) {
        const int32_t o = active[1 + k];
        const int32_t m = factor[k];
        const uint32_t counter = stream + (uint32_t)o * words * MCG_COUNTER_STEP;
        if (m == 65536) { /* as it is, whatever the random numbers */
            for (int32_t i = 0; i < pixels; i++) {
                kept[i * count + k] = e[i * channels + o];
            }
            continue;
        }
        for (int32_t first = 0; first < pixels; first += MCG_BLOCK) {
            const int32_t block = mcg_min(pixels - first, MCG_BLOCK);
            const int8_t *from = e + first * channels + o;
            int8_t *to = kept + first * count + k;
            mcg_random_u16(counter + ((uint32_t)first / 4U) * MCG_COUNTER_STEP, block, random);
            for (int32_t i = 0; i < block; i++) {
                to[i * count] = (int8_t)mcg_clamp((from[i * channels] * m + random[i]) >> 16, -127, 127);
            }
        }
    }
}
