/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_augment(const mcg_model_t *model, mcg_augment_t *how, const int8_t *x, int8_t *y)
{
    if (how == NULL || x == NULL || y == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_can_augment(model, how)) {
        return MCG_ERR_ARG;
    }
    mcg_augment_s8(model->input_h, model->input_w, model->input_c, model->input_zero, how, how->count, x, y);
    how->count += 1U;
    return MCG_OK;
}
