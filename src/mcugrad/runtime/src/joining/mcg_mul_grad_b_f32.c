/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_mul_grad_b_f32(int32_t count, int32_t period, const float *e, const float *a, float *e_b)
{
    for (int32_t i = 0; i < period; i++) {
        e_b[i] = 0.0F;
    }
    for (int32_t first = 0; first < count; first += period) {
        for (int32_t i = 0; i < period; i++) {
            e_b[i] += e[first + i] * a[first + i];
        }
    }
}
