/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_bias_update(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                     const int32_t *odds, const float *rate, const float *c, const float *w_scale,
                     float *bias)
{
    const int32_t count = mcg_active_count(active, channels);
    int32_t sums[MCG_BLOCK];
    for (int32_t first = 0; first < count; first += MCG_BLOCK) {
        const int32_t block = mcg_min(count - first, MCG_BLOCK);
        mcg_pixels_sums(e + first, 1, 0, pixels, count, block, sums);
        const float ratio = *rate * *c; /* not before: nothing then waits while sums are made */
        for (int32_t k = 0; k < block; k++) {
            const int32_t o = mcg_active_at(active, first + k);
            float share = ratio / w_scale[o];
            if (odds != NULL) {
                share *= 65536.0F / (float)odds[first + k];
            }
            bias[o] -= share * (float)sums[k];
        }
    }
}
