/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_scatter_s8(const mcg_slice_t *g, int32_t fill, const int8_t *part, int8_t *whole)
{
    for (int32_t i = 0; i < g->whole_h * g->whole_w * g->whole_c; i++) {
        whole[i] = (int8_t)fill;
    }
    for (int32_t y = 0; y < g->part_h; y++) {
        for (int32_t x = 0; x < g->part_w; x++) {
            int8_t *to =
                whole +
                ((g->first_h + y * g->step_h) * g->whole_w + g->first_w + x * g->step_w) * g->whole_c +
                g->first_c;
            for (int32_t c = 0; c < g->part_c; c++) {
                to[c * g->step_c] = *part++;
            }
        }
    }
}
