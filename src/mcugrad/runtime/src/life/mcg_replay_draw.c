/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_replay_draw(const mcg_model_t *model, mcg_replay_t *replay, uint32_t *place)
{
    if (replay == NULL || place == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, replay)) {
        return MCG_ERR_STATE;
    }
    if (replay->count == 0U) {
        return MCG_ERR_EMPTY;
    }
    *place = mcg_stream(replay->seed, replay->drawn, MCG_STREAM_DRAW) % replay->count;
    replay->drawn += 1U;
    return MCG_OK;
}
