/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_dequantize_f32(int32_t count, int32_t x_zero, const int8_t *x, const float *x_scale, float *y)
{
    const float scale = *x_scale;
    for (int32_t i = 0; i < count; i++) {
        y[i] = (float)(x[i] - x_zero) * scale;
    }
}
