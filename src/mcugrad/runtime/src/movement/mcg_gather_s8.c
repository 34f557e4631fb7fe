/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_gather_s8(const mcg_slice_t *g, const int8_t *whole, int8_t *part)
{
    for (int32_t y = 0; y < g->part_h; y++) {
        for (int32_t x = 0; x < g->part_w; x++) {
            const int8_t *from =
                whole +
                ((g->first_h + y * g->step_h) * g->whole_w + g->first_w + x * g->step_w) * g->whole_c +
                g->first_c;
            for (int32_t c = 0; c < g->part_c; c++) {
                *part++ = from[c * g->step_c];
            }
        }
    }
}
