/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_copy_f32(int32_t count, const float *MCG_RESTRICT source, float *MCG_RESTRICT to)
{
    for (int32_t i = 0; i < count; i++) {
        to[i] = source[i];
    }
}
