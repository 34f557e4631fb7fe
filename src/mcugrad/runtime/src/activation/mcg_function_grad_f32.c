/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_function_grad_f32(int32_t count, int32_t function, const float *parameters, const float *e,
                           const float *x, float *e_x)
{
    for (int32_t i = 0; i < count; i++) {
        float point[2];
        mcg_curve(function, x[i], parameters[0], parameters[1], point);
        e_x[i] = e[i] * point[1];
    }
}
