/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_watch_class(uint32_t label, const uint32_t *predicted, const float *loss, mcg_watch_t *watch)
{
    const float wrong = *predicted == label ? 0.0F : 1.0F;
    watch->seen += watch->seen < MCG_DRIFT_HORIZON ? 1U : 0U;
    if (*loss >= -1.0e38F && *loss <= 1.0e38F) {
        watch->loss = mcg_running(watch->loss, *loss, watch->seen, MCG_WATCH_HORIZON);
    }
    watch->accuracy = mcg_running(watch->accuracy, 1.0F - wrong, watch->seen, MCG_WATCH_HORIZON);
    mcg_drift(watch->seen, wrong, MCG_ERROR_SLACK, &watch->drift_mean, &watch->drift_sum);
}
