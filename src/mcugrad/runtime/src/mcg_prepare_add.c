/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_prepare_add(int32_t sign, const float *a_scale, const float *b_scale, const float *y_scale,
                     int32_t *factor)
{
    const float a = *a_scale / *y_scale;
    const float b = *b_scale / *y_scale;
    const mcg_scale_t top = mcg_scale_from_float(a > b ? a : b);
    const int32_t shift = mcg_clamp((int32_t)top.shift - (int32_t)top.pre + MCG_FACTOR_BITS, 1, 30);
    const float unit = (float)((int32_t)1 << shift);
    factor[0] = mcg_round(a * unit, MCG_FACTOR_LIMIT);
    factor[1] = sign * mcg_round(b * unit, MCG_FACTOR_LIMIT);
    factor[2] = shift;
}
