/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prepare_clip(const float *bounds, const float *scale, int32_t *clip)
{
    clip[0] = mcg_round(bounds[0] / *scale, MCG_UNBOUNDED);
    clip[1] = mcg_round(bounds[1] / *scale, MCG_UNBOUNDED);
}
