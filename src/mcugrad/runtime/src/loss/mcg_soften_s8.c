/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_soften_s8(int32_t classes, const int8_t *logits, const float *scale, uint8_t *soft)
{
    const float unit = *scale * (1.0F / MCG_TEMPERATURE) * 1.4426950F;
    int32_t top = -128;
    for (int32_t i = 0; i < classes; i++) {
        top = mcg_max(top, logits[i]);
    }
    for (int32_t i = 0; i < classes; i++) {
        soft[i] = mcg_soft_share((float)(logits[i] - top) * unit);
    }
}
