/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_function_f32(int32_t count, int32_t function, const float *parameters, const float *x, float *y)
{
    for (int32_t i = 0; i < count; i++) {
        float point[2];
        mcg_curve(function, x[i], parameters[0], parameters[1], point);
        y[i] = point[0];
    }
}
