/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_soft_cross_entropy_f32(int32_t classes, const float *logits, const uint8_t *soft, float *e,
                                float *loss, float *confidence, float *ratio)
{
    uint32_t shares = 0;
    float top = logits[0];
    float distance = 0.0F;
    float sum = 0.0F;
    float sharp = 0.0F;
    float apart = 0.0F;
    for (int32_t i = 0; i < classes; i++) {
        top = logits[i] > top ? logits[i] : top;
    }
    for (int32_t i = 0; i < classes; i++) {
        const float p = mcg_exp2((logits[i] - top) * (1.4426950F / MCG_TEMPERATURE));
        e[i] = p;
        sum += p;
        sharp += p * p * p; /* the same without temperature, which is 3 */
        shares += soft[i];
        distance += (float)soft[i] * (top - logits[i]);
    }
    *loss = (mcg_log(sum) + distance / (float)shares * (1.0F / MCG_TEMPERATURE)) *
            (MCG_TEMPERATURE * MCG_TEMPERATURE);
    *confidence = 1.0F / sharp;
    for (int32_t i = 0; i < classes; i++) {
        const float error = e[i] / sum - (float)soft[i] / (float)shares;
        apart += error < 0.0F ? -error : error;
        e[i] = error * MCG_TEMPERATURE;
    }
    if (ratio != NULL) {
        *ratio = apart * 0.5F;
    }
}
