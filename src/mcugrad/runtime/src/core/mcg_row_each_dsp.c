/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

MCG_APART
int32_t mcg_row_each(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                     const int32_t *clip, int32_t count, int8_t *e)
{
    const int32_t low = mcg_clamp(clip[0], -1000, 1000) + x_zero;
    const int32_t high = mcg_clamp(clip[1], -1000, 1000) + x_zero;
    int32_t highest = 0;
    MCG_ROLLED
    for (int32_t i = 0; i < count; i++) {
        const mcg_scale_t s = scale[i];
        int32_t error = 0;
        if (x[i] > low && x[i] < high) {
            error = s.pre == 0 ? mcg_smmulr(acc[i], (int32_t)((uint32_t)s.mult << (32U - s.shift)))
                               : mcg_rescale(acc[i], s);
        }
        highest = mcg_max(highest, mcg_abs(error));
        e[i] = (int8_t)mcg_max(mcg_ssat(error), -127);
    }
    return highest;
}
