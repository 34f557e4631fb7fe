/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_watch_confidence_f32(int32_t classes, const float *logits, mcg_drift_t *drift)
{
    float top = logits[0];
    float sum = 0.0F;
    for (int32_t i = 0; i < classes; i++) {
        top = logits[i] > top ? logits[i] : top;
    }
    for (int32_t i = 0; i < classes; i++) {
        sum += mcg_exp2((logits[i] - top) * 1.4426950F);
    }
    mcg_follow_confidence(sum, drift);
}
