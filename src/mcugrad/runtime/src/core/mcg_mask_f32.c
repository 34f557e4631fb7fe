/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_mask_f32(int32_t count, const float *bounds, const float *x, float *e)
{
    const float low = bounds[0];
    const float high = bounds[1];
    for (int32_t i = 0; i < count; i++) {
        e[i] = x[i] > low && x[i] < high ? e[i] : 0.0F;
    }
}
