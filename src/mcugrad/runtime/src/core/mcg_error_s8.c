/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_error_s8(const int32_t *MCG_RESTRICT acc, const int8_t *MCG_RESTRICT x, int32_t x_zero,
                     const mcg_scale_t *MCG_RESTRICT scale, const int32_t *clip, int32_t count,
                     int8_t *MCG_RESTRICT e)
{
    const int32_t low = clip[0];
    const int32_t high = clip[1];
    int32_t highest = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = x[i] - x_zero;
        const int32_t rescaled = mcg_rescale(acc[i], scale[i]);
        const int32_t error = value > low && value < high ? rescaled : 0;
        highest = mcg_max(highest, mcg_abs(error));
        e[i] = (int8_t)mcg_clamp(error, -127, 127);
    }
    return highest;
}
