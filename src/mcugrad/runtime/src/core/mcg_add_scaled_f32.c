/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_add_scaled_f32(int32_t count, const float *factor, const float *MCG_RESTRICT x,
                        float *MCG_RESTRICT y)
{
    const float f = *factor;
    for (int32_t i = 0; i < count; i++) {
        y[i] += f * x[i];
    }
}
