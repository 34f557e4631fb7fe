/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_replay_remember(const mcg_model_t *model, void *m, mcg_replay_t *replay)
{
    if (m == NULL || replay == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m) || !mcg_is_of(model, replay)) {
        return MCG_ERR_STATE;
    }
    for (uint32_t i = 0; i < replay->count; i++) {
        uint8_t *const bytes = mcg_slot(model, replay, i);
        const void *const logits = mcg_look(m, model->output);
        model->forward(m, (const int8_t *)bytes);
        if (model->output_real) {
            mcg_soften_f32(model->output_size, (const float *)logits, bytes + model->input_size);
        } else {
            const float scale = mcg_output_scale(model, m);
            mcg_soften_s8(model->output_size, (const int8_t *)logits, &scale, bytes + model->input_size);
        }
    }
    return MCG_OK;
}
