/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_adc_init(const mcg_model_t *model, mcg_adc_t *how, float unit, int32_t middle)
{
    const float steps = unit / model->input_scale;
    if (how == NULL) {
        return MCG_ERR_NULL;
    }
    if (!(unit > 0.0F && steps <= 4096.0F) || middle < -65536 || middle > 65536) {
        return MCG_ERR_ARG;
    }
    how->scale = mcg_scale_from_float(steps);
    how->middle = middle;
    return MCG_OK;
}
