/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* A step on a stored sample, if there is one. Running means are about the world as it is, so they stay. */
static void mcg_train_stored(const mcg_model_t *model, void *m, mcg_replay_t *replay)
{
    mcg_watch_t *const watch = (mcg_watch_t *)mcg_at(m, model->watch);
    const mcg_watch_t watch_now = *watch;
    const uint8_t *bytes;
    const uint8_t *behind;
    uint32_t place;
    if (mcg_replay_draw(model, replay, &place) != MCG_OK) {
        return;
    }
    bytes = mcg_slot(model, replay, place);
    behind = bytes + model->input_size;
    if (model->train_soft != NULL && mcg_is_soft(model, behind)) {
        model->train_soft(m, (const int8_t *)bytes, behind,
                          NULL); /* what was said is about the sample as it came */
    } else {
        const int8_t *old = (const int8_t *)bytes;
        if (replay->augment != NULL && model->augment != NULL) { /* how it can be was seen with the new one */
            (void)model->augment(replay->augment, old, replay->scratch);
            old = replay->scratch;
        }
        if (model->label_kind == MCG_LABEL_CLASS) {
            model->train(m, old, replay->memory + place * (uint32_t)model->slot_words, NULL);
        } else {
            model->train(m, old, behind, NULL);
        }
    }
    *watch = watch_now;
}

mcg_status_t mcg_train_replay(const mcg_model_t *model, void *m, mcg_replay_t *replay, const int8_t *x,
                              const void *label, void *step)
{
    const int8_t *fresh = x;
    mcg_status_t status = mcg_replay_status(model, m, replay, x, label);
    if (status != MCG_OK) {
        return status;
    }
    if (replay->augment != NULL) {
        status = model->augment == NULL ? MCG_ERR_ARG : model->augment(replay->augment, x, replay->scratch);
        if (status != MCG_OK) {
            return status;
        }
        fresh = replay->scratch;
    }
    model->train(m, fresh, label, step);
    replay->fresh += 1U;
    if (replay->every != 0U && replay->fresh % replay->every == 0U) {
        mcg_train_stored(model, m, replay);
    }
    if (replay->collect != 0U) {
        (void)mcg_replay_add(model, replay, x, label);
    }
    return MCG_OK;
}
