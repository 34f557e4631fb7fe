/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_plane_no_output(mcg_panel_output_t *how)
{
    /* In bytes from the lower bound on. */
    const uint32_t nothing = how->kind == 2 ? (uint32_t)-mcg_panel_low(how) * 0x01010101U : 0U;
    how->ends[0] = nothing;
    how->ends[1] = nothing;
}
