/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_adc_u16(const mcg_model_t *model, const mcg_adc_t *how, const uint16_t *raw, int8_t *x)
{
    if (how == NULL || raw == NULL || x == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_adc(how)) {
        return MCG_ERR_ARG;
    }
    mcg_quantize_u16(model->input_size, model->input_zero, how->middle, &how->scale, raw, x);
    return MCG_OK;
}
