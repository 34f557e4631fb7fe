/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_plane_peak(const mcg_panel_output_t *how)
{
    const int32_t zero = -mcg_panel_low(how);
    int32_t highest = how->highest;
    if (how->kind != 2) {
        return mcg_panel_peak(how);
    }
    for (uint32_t i = 0; i < 32U; i += 8U) {
        highest = mcg_max(highest, mcg_min((int32_t)(how->ends[1] >> i & 255U) - zero, how->clip[1]));
        highest = mcg_max(highest, zero - (int32_t)(how->ends[0] >> i & 255U));
    }
    return highest;
}
