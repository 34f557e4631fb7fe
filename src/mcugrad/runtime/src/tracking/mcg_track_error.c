/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_track_error(int32_t least, const int32_t *peak, const float *c, float *range, float *c_x,
                     int32_t *saturated)
{
    const float unit = c[0];
    const float fill = c[1];
    c_x[0] = unit * mcg_error_reach(*range, fill, (float)least) / 127.0F;
    c_x[1] = (float)mcg_min(*peak, 127) / 127.0F;
    *saturated += *peak == 0 ? MCG_EMPTY_ERROR : 0;
    if (!(fill > 0.0F)) {
        return; /* no error says nothing about its range */
    }
    if (*peak > 127) {
        *saturated += 1;
        *range = *range * (float)*peak / 127.0F;
    } else if (*peak >= MCG_LEAST_PEAK) {
        *range = mcg_decay(*range, (float)*peak / 127.0F, MCG_ERROR_DECAY);
    } else if (*range > MCG_LEAST_RANGE) {
        *range = *range * 0.5F;
    }
}
