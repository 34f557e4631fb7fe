/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_regression_loss_f32(int32_t outputs, int32_t label_zero, const float *y, const int8_t *label,
                             const float *label_scale, const float *linear, float *e, float *loss)
{
    const float share = 1.0F / (float)outputs;
    const float bound = *linear;
    float total = 0.0F;
    for (int32_t i = 0; i < outputs; i++) {
        const float d = y[i] - (float)(label[i] - label_zero) * *label_scale;
        const float size = d < 0.0F ? -d : d;
        const float sign = d < 0.0F ? -1.0F : 1.0F;
        float slope;
        if (bound >= 1e38F) {
            total = total + d * d;
            slope = 2.0F * d;
        } else if (bound <= 0.0F) {
            total = total + size;
            slope = size > 0.0F ? sign : 0.0F;
        } else if (size <= bound) {
            total = total + 0.5F * d * d;
            slope = d;
        } else {
            total = total + bound * (size - 0.5F * bound);
            slope = sign * bound;
        }
        e[i] = slope * share;
    }
    *loss = total * share;
}
