/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_scatter_f32(const mcg_slice_t *g, const float *part, float *whole)
{
    for (int32_t i = 0; i < g->whole_h * g->whole_w * g->whole_c; i++) {
        whole[i] = 0.0F;
    }
    for (int32_t y = 0; y < g->part_h; y++) {
        for (int32_t column = 0; column < g->part_w; column++) {
            const int32_t row = g->first_h + y * g->step_h;
            float *pixel =
                whole + (row * g->whole_w + g->first_w + column * g->step_w) * g->whole_c + g->first_c;
            for (int32_t c = 0; c < g->part_c; c++) {
                pixel[c * g->step_c] = *part++;
            }
        }
    }
}
