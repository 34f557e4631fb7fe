/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

int32_t mcg_output_s8(const int32_t *restrict acc, const float *restrict scale, const int32_t *clip,
                      int32_t zero, int32_t count, int8_t *restrict y)
{
    const int32_t low = clip[0];
    const int32_t high = clip[1];
    int32_t highest = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = mcg_clamp(mcg_rescale_output(acc[i], scale[i]), low, high);
        highest = mcg_max(highest, mcg_abs(value));
        y[i] = (int8_t)mcg_clamp(value + zero, -128, 127);
    }
    return highest;
}
