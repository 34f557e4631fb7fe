/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* The frozen layers see the sample once: it is trained, and may enter, as what they made of it. */
mcg_status_t mcg_train_latents(const mcg_rest_t *rest, void *m, mcg_replay_t *replay, const int8_t *x,
                               const void *label, void *step)
{
    const mcg_model_t *const model = &rest->model;
    if (m == NULL || replay == NULL || x == NULL || label == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m) || !mcg_is_of(model, replay)) {
        return MCG_ERR_STATE;
    }
    if (!mcg_label_is_valid(model, label)) {
        return MCG_ERR_LABEL;
    }
    if (replay->augment != NULL) {
        return MCG_ERR_ARG;
    }
    if (replay->scratch == NULL) {
        return MCG_ERR_NULL;
    }
    rest->latents(m, x, replay->scratch);
    return mcg_train_replay(model, m, replay, replay->scratch, label, step);
}
