/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prepare_product(const float *a_scale, const float *b_scale, const float *y_scale, float *scale)
{
    *scale = mcg_factor(*a_scale * *b_scale / *y_scale);
}
