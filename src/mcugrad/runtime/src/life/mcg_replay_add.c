/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_replay_add(const mcg_model_t *model, mcg_replay_t *replay, const int8_t *x,
                            const void *label)
{
    const bool is_class = model->label_kind == MCG_LABEL_CLASS;
    uint32_t group;
    int32_t slot;
    if (replay == NULL || x == NULL || label == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, replay)) {
        return MCG_ERR_STATE;
    }
    if (!mcg_label_is_valid(model, label)) {
        return MCG_ERR_LABEL;
    }
    group = is_class ? *(const uint32_t *)label : 0U;
    mcg_replay_slot((int32_t)replay->capacity, model->replay_classes, model->slot_words, group, replay->seed,
                    replay->memory, &replay->count, &replay->added, replay->seen, replay->held, replay->full,
                    &slot);
    if (slot >= 0) {
        uint8_t *const bytes = mcg_slot(model, replay, (uint32_t)slot);
        replay->memory[slot * model->slot_words] = group;
        mcg_copy((uint32_t)model->input_size, x, bytes);
        for (int32_t i = 0; i < model->output_size; i++) {
            bytes[model->input_size + i] = is_class ? 0U : ((const uint8_t *)label)[i];
        }
    }
    return MCG_OK;
}
