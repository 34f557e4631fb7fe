/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

bool mcg_plane_room(const mcg_plane_axes_t *a, int32_t room, uint32_t *scratch, int32_t own, int8_t *from,
                    mcg_plane_band_t *band)
{
    /* Words from the first that is aligned on. */
    const int32_t odd = (int32_t)(-(uintptr_t)from & 3U);
    if (room >= own - 3) {
        return mcg_plane_band(a, room, scratch, band);
    }
    return mcg_plane_band(a, own - 3, (uint32_t *)(void *)(from + odd), band);
}
