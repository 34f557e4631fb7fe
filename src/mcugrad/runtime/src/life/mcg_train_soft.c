/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_train_soft(const mcg_model_t *model, void *m, const int8_t *x, const uint8_t *soft,
                            void *step)
{
    if (m == NULL || x == NULL || soft == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m)) {
        return MCG_ERR_STATE;
    }
    if (!mcg_is_soft(model, soft)) {
        return MCG_ERR_ARG;
    }
    model->train_soft(m, x, soft, step);
    return MCG_OK;
}
