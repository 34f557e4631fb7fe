/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

int32_t mcg_error_s8(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                     const int32_t *clip, int32_t count, int8_t *e)
{
    int32_t highest = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = x[i] - x_zero;
        const int32_t open = value > clip[0] && value < clip[1];
        const int32_t error = open ? mcg_rescale(acc[i], scale[i]) : 0;
        highest = mcg_max(highest, mcg_abs(error));
        e[i] = (int8_t)mcg_clamp(error, -127, 127);
    }
    return highest;
}
