/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_hard_shrink_f32(int32_t count, const float *limit, const float *x, float *y)
{
    for (int32_t i = 0; i < count; i++) {
        const float magnitude = x[i] < 0.0F ? -x[i] : x[i];
        y[i] = magnitude <= *limit ? 0.0F : x[i];
    }
}
