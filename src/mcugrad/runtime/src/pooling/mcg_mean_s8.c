/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_mean_s8(int32_t outer, int32_t count, int32_t inner, int32_t x_zero, int32_t y_zero, const int8_t *x,
                 const float *scale, const int32_t *clip, int8_t *y, int32_t *peak)
{
    const float factor = *scale;
    const float zeros = (float)(-x_zero * count) * factor;
    int32_t highest = 0;
    for (int32_t i = 0; i < outer; i++) {
        for (int32_t c = 0; c < inner; c++) {
            int32_t sum = 0;
            float scaled;
            int32_t value;
            for (int32_t k = 0; k < count; k++) {
                sum += x[k * inner + c];
            }
            scaled = (float)sum * factor;
            value = mcg_clamp(mcg_nearest(scaled + zeros), clip[0], clip[1]);
            highest = mcg_max(highest, mcg_abs(value));
            *y++ = (int8_t)mcg_clamp(value + y_zero, -128, 127);
        }
        x += count * inner;
    }
    *peak = highest;
}
