/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_panel_error_peak(const mcg_panel_error_t *how)
{
    int32_t highest = how->highest;
    for (uint32_t i = 0; i < 4U; i++) {
        highest = mcg_max(highest, mcg_byte(how->ends[1], i));
        highest = mcg_max(highest, -mcg_byte(how->ends[0], i));
    }
    return highest;
}
