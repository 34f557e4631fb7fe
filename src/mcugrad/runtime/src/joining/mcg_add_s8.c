/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_add_s8(int32_t count, int32_t a_zero, int32_t b_zero, int32_t y_zero, const int8_t *a,
                const int8_t *b, const int32_t *factor, const int32_t *clip, int8_t *y, int32_t *peak)
{
    const int32_t ka = factor[0];
    const int32_t kb = factor[1];
    const int32_t shift = factor[2];
    const int32_t half = (int32_t)1 << (shift - 1);
    int32_t highest = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t sum = (a[i] - a_zero) * ka + (b[i] - b_zero) * kb;
        const int32_t value = mcg_clamp((sum + half) >> shift, clip[0], clip[1]);
        highest = mcg_max(highest, mcg_abs(value));
        y[i] = (int8_t)mcg_clamp(value + y_zero, -128, 127);
    }
    *peak = highest;
}
