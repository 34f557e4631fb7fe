/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_begin_step(const mcg_schedule_t *schedule, const uint32_t *step, float *rate, int32_t *saturated)
{
    uint32_t done = *step - schedule->start;
    *saturated = 0;
    *rate = schedule->rate;
    if (done < schedule->warmup) {
        *rate = schedule->rate * ((float)(done + 1U) / (float)schedule->warmup);
        return;
    }
    done -= schedule->warmup;
    if (schedule->kind == MCG_SCHEDULE_COSINE || schedule->kind == MCG_SCHEDULE_LINEAR) {
        const uint32_t length = schedule->steps - schedule->warmup;
        const float t = done < length ? (float)done / (float)length : 1.0F;
        *rate = schedule->last + (schedule->rate - schedule->last) *
                                     (schedule->kind == MCG_SCHEDULE_LINEAR ? 1.0F - t : mcg_half_cosine(t));
    } else if (schedule->kind == MCG_SCHEDULE_STEPS) {
        const float now = schedule->rate * mcg_power(schedule->factor, done / schedule->every);
        *rate = now > schedule->last ? now : schedule->last;
    }
}
