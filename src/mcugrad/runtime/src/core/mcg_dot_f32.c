/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

enum { MCG_PARTIAL_SUMS = 8 };

/* The eight partial sums as a tree, the halves of a vector first. */
static float mcg_sum_lanes(const float *s)
{
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

void mcg_dot_f32(int32_t count, int32_t rows, const float *MCG_RESTRICT x, const float *MCG_RESTRICT w,
                 float *MCG_RESTRICT sum)
{
    const int32_t whole = count - count % MCG_PARTIAL_SUMS;
    for (int32_t r = 0; r < rows; r++) {
        float s[MCG_PARTIAL_SUMS];
        for (int32_t lane = 0; lane < MCG_PARTIAL_SUMS; lane++) {
            s[lane] = 0.0F;
        }
        for (int32_t i = 0; i < whole; i += MCG_PARTIAL_SUMS) {
            for (int32_t lane = 0; lane < MCG_PARTIAL_SUMS; lane++) {
                s[lane] += x[i + lane] * w[i + lane];
            }
        }
        for (int32_t i = whole; i < count; i++) {
            s[i - whole] += x[i] * w[i];
        }
        sum[r] = mcg_sum_lanes(s);
        w += count;
    }
}
