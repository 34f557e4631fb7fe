/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_predict(const mcg_model_t *model, void *m, const int8_t *x, void *y)
{
    if (m == NULL || x == NULL || y == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m)) {
        return MCG_ERR_STATE;
    }
    model->forward(m, x);
    mcg_copy((uint32_t)model->output_size * (model->output_real ? (uint32_t)sizeof(float) : 1U),
             mcg_look(m, model->output), y);
    return MCG_OK;
}
