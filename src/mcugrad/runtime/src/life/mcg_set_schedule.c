/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_set_schedule(const mcg_model_t *model, void *m, const mcg_schedule_t *schedule)
{
    if (m == NULL || schedule == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m)) {
        return MCG_ERR_STATE;
    }
    if (!mcg_rate_is_valid(schedule->rate)) {
        return MCG_ERR_RATE;
    }
    if (!mcg_schedule_is_valid(schedule)) {
        return MCG_ERR_ARG;
    }
    {
        mcg_schedule_t *const now = (mcg_schedule_t *)mcg_at(m, model->schedule);
        *now = *schedule;
        now->start = *(const uint32_t *)mcg_at(m, model->step);
    }
    return MCG_OK;
}
