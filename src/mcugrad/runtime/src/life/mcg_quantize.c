/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_quantize(const mcg_model_t *model, const float *real, int8_t *x)
{
    if (real == NULL || x == NULL) {
        return MCG_ERR_NULL;
    }
    for (int32_t i = 0; i < model->input_size; i++) {
        const int32_t q = mcg_round(real[i] / model->input_scale, 1024) + model->input_zero;
        x[i] = (int8_t)mcg_clamp(q, -128, 127);
    }
    return MCG_OK;
}
