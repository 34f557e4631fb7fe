/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_maxpool2d_keep_s8(const mcg_pool2d_t *g, const int8_t *x, int8_t *y, uint8_t *kept)
{
    mcg_pool_kept_t to = {kept, mcg_maxpool2d_bits(g), 0, 0};
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            int32_t number;
            const mcg_pool_taps_t t = mcg_maxpool2d_numbered(g, oy, ox, &number);
            for (int32_t c = 0; c < g->channels; c++) {
                y[c] = (int8_t)mcg_maxpool2d_won(g, &t, number, x, c, &to);
            }
            y += g->channels;
        }
    }
    mcg_maxpool2d_keep_last(&to);
}
