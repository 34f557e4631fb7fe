/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_replay_init(const mcg_model_t *model, mcg_replay_t *replay, uint32_t *memory, uint32_t words,
                             uint32_t seed)
{
    const uint32_t slot = (uint32_t)model->slot_words;
    if (replay == NULL || memory == NULL) {
        return MCG_ERR_NULL;
    }
    if (words / slot == 0U || words / slot > 0x7fffffffU / slot) {
        return MCG_ERR_ARG;
    }
    replay->every = 1;
    replay->collect = 1;
    replay->capacity = words / slot;
    replay->count = 0;
    replay->fresh = 0;
    replay->added = 0;
    replay->drawn = 0;
    replay->seed = seed;
    for (int32_t i = 0; i < model->replay_classes; i++) {
        replay->seen[i] = 0;
        replay->held[i] = 0;
        replay->full[i] = 0;
    }
    replay->memory = memory;
    replay->augment = NULL;
    replay->scratch = NULL;
    replay->ready = model->fingerprint;
    return MCG_OK;
}
