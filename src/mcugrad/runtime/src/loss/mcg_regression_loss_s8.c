/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_regression_loss_s8(int32_t outputs, int32_t channels, int32_t y_zero, int32_t label_zero,
                            const int8_t *y, const float *y_scale, const int8_t *label,
                            const float *label_scale, const float *linear, const float *w_scale,
                            const int32_t *clip, int8_t *e, float *c, float *loss, float *error)
{
    const float share = 1.0F / (float)outputs;
    const float bound = *linear;
    float total = 0.0F;
    for (int32_t i = 0; i < outputs; i++) {
        const float real = (float)(y[i] - y_zero) * *y_scale;
        const float d = real - (float)(label[i] - label_zero) * *label_scale;
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
        error[i] = slope * share;
    }
    *loss = total * share;
    mcg_output_error_s8(outputs, channels, y_zero, y, w_scale, clip, error, e, c);
}
