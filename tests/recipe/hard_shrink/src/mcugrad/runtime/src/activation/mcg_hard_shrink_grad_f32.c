/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_hard_shrink_grad_f32(int32_t count, const float *e, const float *y, float *e_x)
{
    for (int32_t i = 0; i < count; i++) {
        e_x[i] = y[i] != 0.0F ? e[i] : 0.0F;
    }
}
