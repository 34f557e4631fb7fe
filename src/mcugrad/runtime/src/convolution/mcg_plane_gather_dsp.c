/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_plane_gather(const int8_t *x, const mcg_plane_axes_t *a, const mcg_plane_band_t *band,
                      const uint16_t *channel)
{
    const mcg_plane_rows_t *const rows = &band->pack;
    const int32_t count = 2 * band->there + (rows->half ? 1 : 0);
    for (int32_t i = 0; i < MCG_PLANE_CHANNELS; i++) {
        uint32_t *to = rows->to + i * rows->plane / 4;
        const int8_t *row = x + rows->from + channel[i];
        for (int32_t y = 0; y < rows->lines; y++) {
            const int8_t *from = row;
            for (int32_t k = 0; k < count; k += 2) {
                const int32_t next = k + 1 < count ? from[a->in_column] - a->g.x_zero : 0;
                to[k / 2] = mcg_halves(from[0] - a->g.x_zero, next);
                from += 2 * a->in_column;
            }
            to += band->words;
            row += a->in_row;
        }
    }
}
