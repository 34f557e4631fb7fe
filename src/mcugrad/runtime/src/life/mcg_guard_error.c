/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* By the class: 0 or 1. */
static float mcg_class_error(const mcg_model_t *model, const void *y, uint32_t wanted)
{
    uint32_t predicted;
    if (model->output_real) {
        mcg_argmax_f32(model->output_size, (const float *)y, &predicted);
    } else {
        mcg_argmax_s8(model->output_size, (const int8_t *)y, &predicted);
    }
    return predicted == wanted ? 0.0F : 1.0F;
}

/* A label applies where its logit is above 0. */
static float mcg_bit_errors(const mcg_model_t *model, const void *y, const uint8_t *wanted)
{
    float wrong = 0.0F;
    for (int32_t i = 0; i < model->output_size; i++) {
        const bool applies =
            model->output_real ? ((const float *)y)[i] > 0.0F : ((const int8_t *)y)[i] > model->output_zero;
        wrong += applies == (wanted[i] != 0U) ? 0.0F : 1.0F;
    }
    return wrong;
}

static float mcg_value_errors(const mcg_model_t *model, const void *y, float scale, const int8_t *wanted)
{
    float sum = 0.0F;
    for (int32_t i = 0; i < model->output_size; i++) {
        const float found = model->output_real ? ((const float *)y)[i]
                                               : (float)(((const int8_t *)y)[i] - model->output_zero) * scale;
        const float d = found - (float)(wanted[i] - model->label_zero) * model->label_scale;
        sum += d * d;
    }
    return sum;
}

void mcg_guard_error(const mcg_model_t *model, void *m, const int8_t *x, const void *label, float *error)
{
    const void *const y = mcg_look(m, model->output);
    model->forward(m, x);
    if (model->label_kind == MCG_LABEL_CLASS) {
        *error = mcg_class_error(model, y, *(const uint32_t *)label);
    } else if (model->label_kind == MCG_LABEL_BITS) {
        *error = mcg_bit_errors(model, y, (const uint8_t *)label);
    } else {
        const float scale = model->output_real ? 1.0F : mcg_output_scale(model, m);
        *error = mcg_value_errors(model, y, scale, (const int8_t *)label);
    }
}
