/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_select_samples(uint32_t share, uint32_t batch, const float *loss, const mcg_watch_t *watch,
                        const uint32_t *seed, const uint32_t *step, uint32_t stream, const float *whole,
                        int32_t *taken, float *rate)
{
    float odds = (float)share;
    if (loss != NULL) {
        const float part = *loss / watch->loss;
        if (part >= 0.0F) { /* neither is a number that has been spoilt */
            odds *= part;
        }
    }
    *taken = (float)(mcg_hash(mcg_stream(*seed, *step / batch, stream)) & 0xffffU) < odds;
    *rate = *taken != 0 ? *whole : 0.0F;
}
