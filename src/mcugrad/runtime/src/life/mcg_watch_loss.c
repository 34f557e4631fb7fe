/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_watch_loss(const float *loss, mcg_watch_t *watch)
{
    if (*loss >= 0.0F && *loss <= 1.0e38F) {
        watch->seen += watch->seen < MCG_DRIFT_HORIZON ? 1U : 0U;
        watch->loss = mcg_running(watch->loss, *loss, watch->seen, MCG_WATCH_HORIZON);
        mcg_drift(watch->seen, *loss > 0.0F ? *loss / (*loss + watch->loss) : 0.0F, MCG_ERROR_SLACK,
                  &watch->drift_mean, &watch->drift_sum);
    }
}
