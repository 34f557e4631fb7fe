/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_track_scale(int32_t levels, const int32_t *peak, float *scale, int32_t *saturated)
{
    const float fill = (float)*peak / (float)levels;
    if (*peak > levels) {
        *saturated += 1;
        *scale = *scale * fill;
    } else if (*peak > 0) {
        *scale = mcg_decay(*scale, fill, MCG_SCALE_DECAY);
    }
}
