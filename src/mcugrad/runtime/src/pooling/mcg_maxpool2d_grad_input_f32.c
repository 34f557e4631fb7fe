/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_maxpool2d_grad_input_f32(const mcg_pool2d_t *g, const float *e, const float *x, float *e_x)
{
    for (int32_t i = 0; i < g->in_h * g->in_w * g->channels; i++) {
        e_x[i] = 0.0F;
    }
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            for (int32_t c = 0; c < g->channels; c++) {
                const int32_t winner = mcg_maxpool2d_winner_f32(g, x, oy, ox, c);
                if (winner >= 0) {
                    e_x[winner] += *e;
                }
                e++;
            }
        }
    }
}
