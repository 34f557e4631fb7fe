/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_soft_cross_entropy_s8(int32_t classes, int32_t channels, int32_t zero, const int8_t *logits,
                               const float *scale, const uint8_t *soft, const float *w_scale,
                               const int32_t *clip, int8_t *e, float *c, float *loss, float *confidence,
                               float *ratio, float *probability)
{
    const float step = *scale * (1.0F / MCG_TEMPERATURE);
    const float unit = step * 1.4426950F;
    uint32_t shares = 0;
    uint32_t distance = 0;
    int32_t top = -128;
    float sum = 0.0F;
    float sharp = 0.0F;
    float apart = 0.0F;
    for (int32_t i = 0; i < classes; i++) {
        top = mcg_max(top, logits[i]);
    }
    for (int32_t i = 0; i < classes; i++) {
        const float p = mcg_exp2((float)(logits[i] - top) * unit);
        probability[i] = p;
        sum += p;
        sharp += p * p * p; /* the same without temperature, which is 3 */
        shares += soft[i];
        distance += (uint32_t)soft[i] * (uint32_t)(top - logits[i]);
    }
    *loss = (mcg_log(sum) + (float)distance / (float)shares * step) * (MCG_TEMPERATURE * MCG_TEMPERATURE);
    *confidence = 1.0F / sharp;
    for (int32_t i = 0; i < classes; i++) {
        const float error = probability[i] / sum - (float)soft[i] / (float)shares;
        apart += error < 0.0F ? -error : error;
        probability[i] = error * MCG_TEMPERATURE;
    }
    if (ratio != NULL) {
        *ratio = apart * 0.5F;
    }
    mcg_output_error_s8(classes, channels, zero, logits, w_scale, clip, probability, e, c);
}
