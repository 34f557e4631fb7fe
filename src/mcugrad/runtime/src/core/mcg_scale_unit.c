/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_scale_unit(const float *c, const float *factor, float *unit)
{
    unit[0] = c[0] * *factor;
    unit[1] = c[1];
}
