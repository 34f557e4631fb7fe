/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_maxpool2d_grad_input_s8(const mcg_pool2d_t *g, const int8_t *e, const int8_t *x, int8_t *e_x)
{
    for (int32_t i = 0; i < g->in_h * g->in_w * g->channels; i++) {
        e_x[i] = 0;
    }
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            for (int32_t c = 0; c < g->channels; c++) {
                const int32_t error = *e++;
                if (error != 0) {
                    const int32_t winner = mcg_maxpool2d_winner(g, x, oy, ox, c);
                    if (winner >= 0) {
                        e_x[winner] = (int8_t)mcg_clamp(e_x[winner] + error, -127, 127);
                    }
                }
            }
        }
    }
}
