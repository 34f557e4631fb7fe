/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_mul_s8(int32_t count, int32_t period, int32_t a_zero, int32_t b_zero, int32_t y_zero,
                const int8_t *a, const int8_t *b, const float *scale, const int32_t *clip, int8_t *y,
                int32_t *peak)
{
    float factor[MCG_BLOCK];
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    mcg_fill_factor(factor, *scale);
    for (int32_t start = 0; start < count; start += period) {
        for (int32_t first = 0; first < period; first += MCG_BLOCK) {
            const int32_t block = mcg_min(period - first, MCG_BLOCK);
            const int32_t at = start + first;
            for (int32_t i = 0; i < block; i++) {
                acc[i] = (a[at + i] - a_zero) * (b[first + i] - b_zero);
            }
            highest = mcg_max(highest, mcg_output_s8(acc, factor, clip, y_zero, block, y + at));
        }
    }
    *peak = highest;
}
