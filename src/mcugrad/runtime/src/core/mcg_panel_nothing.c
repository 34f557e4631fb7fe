/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_panel_nothing(const mcg_conv2d_t *g, const mcg_panel_axis_t *v, const mcg_panel_axis_t *u,
                       int8_t *e_x)
{
    for (int32_t y = 0; y < v->count; y++) {
        for (int32_t x = 0; x < u->count; x++) {
            int8_t *to =
                e_x + ((v->first + y * g->stride_h) * g->in_w + u->first + x * g->stride_w) * g->in_c;
            for (int32_t c = 0; c < g->in_c; c++) {
                to[c] = 0;
            }
        }
    }
}
