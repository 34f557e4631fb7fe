/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_add_f32(int32_t count, int32_t sign, const float *a, const float *b, const float *clip, float *y)
{
    const float factor = (float)sign;
    for (int32_t i = 0; i < count; i++) {
        y[i] = mcg_clip_real(a[i] + factor * b[i], clip);
    }
}
