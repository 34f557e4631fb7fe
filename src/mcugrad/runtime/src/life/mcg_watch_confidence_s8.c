/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_watch_confidence_s8(int32_t classes, const int8_t *logits, const float *scale, mcg_drift_t *drift)
{
    const float unit = *scale * 1.4426950F;
    int32_t top = -128;
    float sum = 0.0F;
    for (int32_t i = 0; i < classes; i++) {
        top = mcg_max(top, logits[i]);
    }
    for (int32_t i = 0; i < classes; i++) {
        sum += mcg_exp2((float)(logits[i] - top) * unit);
    }
    mcg_follow_confidence(sum, drift);
}
