/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_add_products_f32(int32_t count, const float *a, const float *b, float *MCG_RESTRICT y)
{
    for (int32_t i = 0; i < count; i++) {
        y[i] += a[i] * b[i];
    }
}
