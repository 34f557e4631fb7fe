/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_panel_kind(const int32_t *bias, const float *scale, const int32_t *clip, int32_t zero,
                       int32_t largest, int32_t rows)
{
    const bool relu = clip[0] == 0 && clip[1] >= 255 && zero == -128;
    const bool above = clip[0] <= 0 && clip[1] >= 127 - zero;
    if (MCG_SLOW_FLOATS || !(relu || above)) {
        return 0;
    }
    for (int32_t o = 0; o < rows; o++) {
        if (!((float)(largest + mcg_abs(bias[o])) * scale[o] < MCG_PANEL_HALF)) {
            return 0;
        }
    }
    return relu ? 1 : 2;
}
