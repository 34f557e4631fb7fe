/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_track_error(const int32_t *peak, const float *c, float *range, float *c_x, int32_t *saturated)
{
    *c_x = *c * *range / 127.0F;
    if (*peak > 127) {
        *saturated += 1;
        *range = *range * (float)*peak / 127.0F;
    } else if (*peak > 0) {
        *range = mcg_decay(*range, (float)*peak / 127.0F, MCG_ERROR_DECAY);
    }
}
