/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_samples(uint32_t share, uint32_t batch, const float *loss, const mcg_watch_t *watch,
                        const mcg_schedule_t *schedule, const float *rate, const uint32_t *seed,
                        const uint32_t *step, uint32_t stream, const float *whole, float *gain,
                        int32_t *taken, float *updated)
{
    float odds = (float)share;
    if (loss != NULL) {
        const bool falls = schedule->kind == MCG_SCHEDULE_COSINE || schedule->kind == MCG_SCHEDULE_LINEAR;
        const float mean = 0.5F * schedule->rate + 0.5F * schedule->last;
        if (falls && *step - schedule->start < schedule->steps && mean > 0.0F) {
            const uint32_t room = 65536U - share;
            odds += (float)(share < room ? share : room) * (*rate / mean - 1.0F);
        }
        const float fit = *loss / watch->loss;
        if (fit >= 0.0F) { /* neither is a number that has been spoilt */
            const float want = odds;
            odds = want * *gain * fit;
            odds = odds < 65536.0F ? odds : 65536.0F;
            const float next = *gain * (1.0F + (want - odds) / 524288.0F);
            *gain = next < 0.015625F ? 0.015625F : next > 64.0F ? 64.0F : next;
        }
    }
    *taken = (float)(mcg_hash(mcg_stream(*seed, *step / batch, stream)) & 0xffffU) < odds;
    *updated = *taken != 0 ? *whole : 0.0F;
}
