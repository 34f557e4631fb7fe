/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_mul_grad_a_s8(int32_t count, int32_t period, int32_t channels, int32_t a_zero, int32_t b_zero,
                       const int8_t *e, const int8_t *b, const int8_t *a, const mcg_scale_t *scale,
                       const int32_t *clip, int8_t *e_a, int32_t *peak)
{
    mcg_scale_block_t factors;
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    mcg_fill_scale(factors.scale, *scale);
    for (int32_t start = 0; start < count; start += period) {
        for (int32_t first = 0; first < period; first += MCG_BLOCK) {
            const int32_t block = mcg_min(period - first, MCG_BLOCK);
            const int32_t at = start + first;
            for (int32_t i = 0; i < block; i++) {
                acc[i] = e[at + i] * (b[first + i] - b_zero);
            }
            highest = mcg_max(highest, mcg_error_parts(acc, a + at, a_zero, scale, channels, at,
                                                       factors.scale, clip, block, e_a + at));
        }
    }
    *peak = highest;
}
