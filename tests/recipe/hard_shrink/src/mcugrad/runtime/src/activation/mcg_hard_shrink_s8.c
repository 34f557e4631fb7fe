/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_hard_shrink_s8(int32_t count, int32_t x_zero, const float *limit, const float *x_scale,
                        const int8_t *x, int8_t *y)
{
    const int32_t steps = mcg_round(*limit / *x_scale, 256); /* no value is 256 steps from its zero point */
    for (int32_t i = 0; i < count; i++) {
        y[i] = (int8_t)(mcg_abs(x[i] - x_zero) > steps ? x[i] : x_zero);
    }
}
