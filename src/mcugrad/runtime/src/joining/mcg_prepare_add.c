/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prepare_add(int32_t sign, const float *a_scale, const float *b_scale, const float *y_scale,
                     int32_t *factor)
{
    const float a = mcg_factor(*a_scale / *y_scale);
    const float b = mcg_factor(*b_scale / *y_scale);
    const int32_t exponent = (int32_t)(mcg_float_bits(a > b ? a : b) >> 23);
    const int32_t shift = mcg_clamp(142 + MCG_FACTOR_BITS - exponent, 1, 30);
    const float unit = (float)((int32_t)1 << shift);
    factor[0] = mcg_min(mcg_nearest(a * unit), MCG_FACTOR_LIMIT);
    factor[1] = sign * mcg_min(mcg_nearest(b * unit), MCG_FACTOR_LIMIT);
    factor[2] = shift;
}
