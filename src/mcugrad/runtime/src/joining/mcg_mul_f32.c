/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_mul_f32(int32_t count, int32_t period, const float *a, const float *b, const float *clip, float *y)
{
    for (int32_t first = 0; first < count; first += period) {
        for (int32_t i = 0; i < period; i++) {
            y[first + i] = mcg_clip_real(a[first + i] * b[i], clip);
        }
    }
}
