/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_watch(const mcg_model_t *model, const void *m, const void *y, mcg_drift_t *drift)
{
    if (m == NULL || y == NULL || drift == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m)) {
        return MCG_ERR_STATE;
    }
    if (model->output_real) {
        mcg_watch_confidence_f32(model->output_size, (const float *)y, drift);
    } else {
        const float scale = mcg_output_scale(model, m);
        mcg_watch_confidence_s8(model->output_size, (const int8_t *)y, &scale, drift);
    }
    return MCG_OK;
}
