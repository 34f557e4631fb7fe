/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_train_step(const mcg_model_t *model, void *m, const int8_t *x, const void *label, void *step)
{
    if (m == NULL || x == NULL || label == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m)) {
        return MCG_ERR_STATE;
    }
    if (!mcg_label_is_valid(model, label)) {
        return MCG_ERR_LABEL;
    }
    model->train(m, x, label, step);
    return MCG_OK;
}
