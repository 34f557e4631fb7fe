/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_softmax_cross_entropy_s8(int32_t classes, int32_t channels, int32_t zero, const int8_t *logits,
                                  const float *scale, uint32_t label, const float *smoothing,
                                  const float *w_scale, const int32_t *clip, int8_t *e, float *c, float *loss,
                                  float *confidence, float *probability)
{
    const float unit = *scale * 1.4426950F;
    const float share = *smoothing / (float)classes;
    const float rest = 1.0F - *smoothing;
    int32_t distance = 0;
    int32_t top = -128;
    float sum = 0.0F;
    float highest = 0.0F;
    for (int32_t i = 0; i < classes; i++) {
        top = mcg_max(top, logits[i]);
    }
    for (int32_t i = 0; i < classes; i++) {
        probability[i] = mcg_exp2((float)(logits[i] - top) * unit);
        sum += probability[i];
    }
    for (int32_t i = 0; i < classes; i++) {
        distance += top - logits[i];
    }
    *loss = mcg_log(sum) + ((float)(top - logits[label]) * rest + (float)distance * share) * *scale;
    *confidence = 1.0F / sum;
    for (int32_t i = 0; i < classes; i++) {
        const int32_t value = logits[i] - zero;
        float error = probability[i] / sum;
        if ((uint32_t)i == label) {
            error -= rest;
        }
        error -= share;
        error = value > clip[0] && value < clip[1] ? error * w_scale[i % channels] : 0.0F;
        probability[i] = error;
        error = error < 0.0F ? -error : error;
        highest = error > highest ? error : highest;
    }
    c[0] = highest / 127.0F;
    c[1] = highest > 0.0F ? 1.0F : 0.0F;
    for (int32_t i = 0; i < classes; i++) {
        e[i] = highest > 0.0F
                   ? (int8_t)mcg_clamp(mcg_round(probability[i] / highest * 127.0F, 128), -127, 127)
                   : 0;
    }
}
