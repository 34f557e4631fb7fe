/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* The frozen layers see the sample once: it is trained, and may enter, as what they made of it. */
mcg_status_t mcg_train_latents(const mcg_rest_t *rest, void *m, mcg_replay_t *replay, const int8_t *x,
                               const void *label, void *step)
{
    const mcg_status_t status = mcg_replay_status(&rest->model, m, replay, x, label);
    if (status != MCG_OK) {
        return status;
    }
    if (replay->augment != NULL) {
        return MCG_ERR_ARG;
    }
    if (replay->scratch == NULL) {
        return MCG_ERR_NULL;
    }
    rest->latents(m, x, replay->scratch);
    return mcg_train_replay(&rest->model, m, replay, replay->scratch, label, step);
}
