/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

bool mcg_panel_factors(const mcg_scale_t *scale, int32_t rows, float largest, int32_t *factor)
{
    bool fits = true;
    for (int32_t i = 0; i < rows; i++) {
        factor[i] = (int32_t)((uint32_t)scale[i].mult << (32U - scale[i].shift));
        fits = fits && scale[i].pre == 0 && (float)factor[i] * largest < MCG_PANEL_HALF * 4294967296.0F;
    }
    return fits;
}
