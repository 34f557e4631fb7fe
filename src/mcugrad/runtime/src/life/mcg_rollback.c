/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_rollback(const mcg_model_t *model, void *m, const void *snapshot)
{
    if (m == NULL || snapshot == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m) || !mcg_is_of(model, snapshot)) {
        return MCG_ERR_STATE;
    }
    {
        mcg_schedule_t *const schedule = (mcg_schedule_t *)mcg_at(m, model->schedule);
        mcg_watch_t *const watch = (mcg_watch_t *)mcg_at(m, model->watch);
        uint32_t *const step = (uint32_t *)mcg_at(m, model->step);
        const mcg_schedule_t schedule_now = *schedule;
        const mcg_watch_t watch_now = *watch;
        const uint32_t step_now = *step;
        mcg_copy(model->params_size, mcg_look(snapshot, MCG_SNAPSHOT_PARAMS), mcg_at(m, model->params));
        *schedule = schedule_now; /* time does not run backwards */
        *watch = watch_now;
        *step = step_now;
    }
    return MCG_OK;
}
