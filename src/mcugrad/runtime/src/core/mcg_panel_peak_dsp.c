/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_panel_peak(const mcg_panel_output_t *how)
{
    int32_t highest = how->highest;
    /* Bounds beyond the codes change no output: they are those of the peak alone. */
    for (uint32_t i = 0; i < 2U; i++) {
        highest = mcg_max(highest, mcg_min(mcg_half(how->ends[1], i), how->clip[1]));
        highest = mcg_max(highest, -mcg_max(mcg_half(how->ends[0], i), how->clip[0]));
    }
    return highest;
}
