/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_add_errors_s8(int32_t count, const int8_t *a, const int8_t *b, const int32_t *factor, int8_t *e,
                       int32_t *peak)
{
    const int32_t ka = factor[0];
    const int32_t kb = factor[1];
    int32_t highest = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = (a[i] * ka + b[i] * kb + 0x8000) >> 16;
        highest = mcg_max(highest, mcg_abs(value));
        e[i] = (int8_t)mcg_clamp(value, -127, 127);
    }
    *peak = highest;
}
