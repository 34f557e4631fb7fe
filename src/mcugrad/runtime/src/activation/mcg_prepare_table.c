/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* The scale with which all values from low to high fit around the zero point. */
static float mcg_scale_for(float low, float high, int32_t zero)
{
    const float above = zero < 127 ? high / (float)(127 - zero) : 0.0F;
    const float below = zero > -128 ? -low / (float)(zero + 128) : 0.0F;
    const float scale = above > below ? above : below;
    return scale > 1e-30F ? scale : 1.0F;
}

void mcg_prepare_table(const mcg_activation_t *g, const float *parameters, const float *x_scale,
                       float *made_for, int8_t *value, int16_t *slope, float *y_scale, float *real)
{
    const int32_t first = mcg_round(parameters[2] / *x_scale, MCG_UNBOUNDED);
    const int32_t last = mcg_round(parameters[3] / *x_scale, MCG_UNBOUNDED);
    float low = 0.0F;
    float high = 0.0F;
    if (mcg_float_bits(*x_scale) == mcg_float_bits(*made_for)) {
        return;
    }
    *made_for = *x_scale;
    for (int32_t i = 0; i < 256; i++) {
        const int32_t steps = i - 128 - g->x_zero;
        float point[2];
        float fixed = 0.0F;
        mcg_curve(g->function, (float)steps * *x_scale, parameters[0], parameters[1], point);
        if (steps > first && steps < last) {
            fixed = point[1] * MCG_SLOPE_ONE;
        }
        slope[i] = (int16_t)mcg_clamp(mcg_round(fixed, 32768), -MCG_SLOPE_LIMIT, MCG_SLOPE_LIMIT);
        real[i] = point[0];
        low = point[0] < low ? point[0] : low;
        high = point[0] > high ? point[0] : high;
    }
    *y_scale = mcg_scale_for(low, high, g->y_zero);
    for (int32_t i = 0; i < 256; i++) {
        value[i] = (int8_t)mcg_clamp(mcg_round(real[i] / *y_scale, 1024) + g->y_zero, -128, 127);
    }
}
