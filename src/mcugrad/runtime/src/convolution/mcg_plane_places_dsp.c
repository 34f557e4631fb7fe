/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_plane_places(const mcg_plane_axes_t *a, int32_t row, int32_t rows, int32_t *at)
{
    int32_t place = a->out_first + row * a->out_row;
    for (int32_t i = 0; i < rows; i++) {
        int32_t here = place;
        for (int32_t k = 0; k < a->g.out_w; k++) {
            *at++ = here;
            here += a->out_column;
        }
        place += a->out_row;
    }
}
