/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_soften_f32(int32_t classes, const float *logits, uint8_t *soft)
{
    float top = logits[0];
    for (int32_t i = 0; i < classes; i++) {
        top = logits[i] > top ? logits[i] : top;
    }
    for (int32_t i = 0; i < classes; i++) {
        soft[i] = mcg_soft_share((logits[i] - top) * (1.4426950F / MCG_TEMPERATURE));
    }
}
