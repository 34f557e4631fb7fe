/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_maxpool2d_f32(const mcg_pool2d_t *g, const float *x, float *y)
{
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            for (int32_t c = 0; c < g->channels; c++) {
                const int32_t winner = mcg_maxpool2d_winner_f32(g, x, oy, ox, c);
                *y++ = winner < 0 ? 0.0F : x[winner];
            }
        }
    }
}
