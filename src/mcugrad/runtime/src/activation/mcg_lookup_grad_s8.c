/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_lookup_grad_s8(int32_t count, const int8_t *e, const int8_t *x, const int16_t *slope,
                        const mcg_scale_t *scale, int8_t *e_x, int32_t *peak)
{
    const int16_t *const middle = slope + 128;
    const mcg_scale_t factor = *scale;
    int32_t highest = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t error = mcg_rescale(e[i] * middle[x[i]], factor);
        highest = mcg_max(highest, mcg_abs(error));
        e_x[i] = (int8_t)mcg_clamp(error, -127, 127);
    }
    *peak = highest;
}
