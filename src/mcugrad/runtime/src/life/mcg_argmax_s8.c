/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_argmax_s8(int32_t count, const int8_t *x, uint32_t *index)
{
    int32_t best = 0;
    for (int32_t i = 1; i < count; i++) {
        best = x[i] > x[best] ? i : best;
    }
    *index = (uint32_t)best;
}
