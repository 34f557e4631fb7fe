/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_set_rate(const mcg_model_t *model, void *m, float rate)
{
    if (m == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m)) {
        return MCG_ERR_STATE;
    }
    if (!mcg_rate_is_valid(rate)) {
        return MCG_ERR_RATE;
    }
    {
        mcg_schedule_t *const schedule = (mcg_schedule_t *)mcg_at(m, model->schedule);
        schedule->kind = MCG_SCHEDULE_CONSTANT;
        schedule->warmup = 0;
        schedule->rate = rate;
    }
    return MCG_OK;
}
