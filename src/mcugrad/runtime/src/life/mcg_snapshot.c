/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_snapshot(const mcg_model_t *model, const void *m, void *snapshot)
{
    if (m == NULL || snapshot == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m)) {
        return MCG_ERR_STATE;
    }
    mcg_copy(model->params_size, mcg_look(m, model->params), mcg_at(snapshot, MCG_SNAPSHOT_PARAMS));
    *(float *)mcg_at(snapshot, MCG_SNAPSHOT_ERROR) = MCG_WORST;
    *(uint32_t *)snapshot = model->fingerprint;
    return MCG_OK;
}
