/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_panel_error_bounds(mcg_panel_error_t *how)
{
    /* x from low to high is not flat. */
    const int32_t low = how->x_zero + mcg_clamp(how->clip[0], -1000, 1000) + 1;
    const int32_t high = how->x_zero + mcg_clamp(how->clip[1], -1000, 1000) - 1;
    const bool some = low <= mcg_min(high, 127) && high >= -128; /* bounds may leave nothing between them */
    how->low = ((uint32_t)mcg_max(low, -128) & 0xffU) * 0x01010101U;
    how->high = ((uint32_t)mcg_min(high, 127) & 0xffU) * 0x01010101U;
    how->kind = MCG_SLOW_FLOATS || !some ? 0 : high >= 127 ? 1 : 2;
}
