/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_softmax_cross_entropy_f32(int32_t classes, const float *logits, uint32_t label,
                                   const float *smoothing, float *e, float *loss, float *confidence)
{
    const float share = *smoothing / (float)classes;
    const float rest = 1.0F - *smoothing;
    float top = logits[0];
    float distance = 0.0F;
    float sum = 0.0F;
    for (int32_t i = 0; i < classes; i++) {
        top = logits[i] > top ? logits[i] : top;
    }
    for (int32_t i = 0; i < classes; i++) {
        e[i] = mcg_exp2((logits[i] - top) * 1.4426950F);
        sum += e[i];
        distance += top - logits[i];
    }
    *loss = mcg_log(sum) + ((top - logits[label]) * rest + distance * share);
    *confidence = 1.0F / sum;
    for (int32_t i = 0; i < classes; i++) {
        float error = e[i] / sum;
        if ((uint32_t)i == label) {
            error -= rest;
        }
        e[i] = error - share;
    }
}
