/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Mean error of samples and outputs; what is no number is worse than any. */
static float mcg_mean_error(const mcg_model_t *model, void *m, const int8_t *x, const void *labels,
                            uint32_t samples)
{
    const float outputs = model->label_kind == MCG_LABEL_CLASS ? 1.0F : (float)model->output_size;
    float sum = 0.0F;
    for (uint32_t i = 0; i < samples; i++) {
        float error;
        mcg_guard_error(model, m, x + (size_t)i * (size_t)model->input_size, mcg_label_of(model, labels, i),
                        &error);
        sum += error;
    }
    sum /= (float)samples * outputs;
    return sum <= MCG_WORST ? sum : MCG_WORST;
}

mcg_status_t mcg_guard(const mcg_model_t *model, void *m, void *snapshot, const int8_t *x, const void *labels,
                       uint32_t samples, float margin, mcg_guard_t *result)
{
    float *best;
    float error;
    uint32_t outcome = MCG_GUARD_WITHIN;
    if (m == NULL || snapshot == NULL || x == NULL || labels == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m)) {
        return MCG_ERR_STATE;
    }
    if (samples == 0U || !(margin >= 0.0F && margin <= MCG_WORST)) {
        return MCG_ERR_ARG;
    }
    for (uint32_t i = 0; i < samples; i++) {
        if (!mcg_label_is_valid(model, mcg_label_of(model, labels, i))) {
            return MCG_ERR_LABEL;
        }
    }
    error = mcg_mean_error(model, m, x, labels, samples);
    best = (float *)mcg_at(snapshot, MCG_SNAPSHOT_ERROR);
    if (!mcg_is_of(model, snapshot) || error <= *best) {
        (void)mcg_snapshot(model, m, snapshot);
        *best = error;
        outcome = MCG_GUARD_BEST;
    } else if (error > *best + margin) {
        (void)mcg_rollback(model, m, snapshot);
        outcome = MCG_GUARD_RESTORED;
    }
    if (result != NULL) {
        result->outcome = outcome;
        result->error = error;
        result->best = *best;
    }
    return MCG_OK;
}
