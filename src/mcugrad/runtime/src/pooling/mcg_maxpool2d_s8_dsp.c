/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Four channels at a time. The last ones, which are not four, are read with those before them, but written
 * alone: y may lie where x was. */
void mcg_maxpool2d_s8(const mcg_pool2d_t *g, const int8_t *x, int8_t *y)
{
    const int32_t whole = g->channels & ~3;
    const int32_t rest = g->channels < 4 ? 0 : g->channels - whole;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            const mcg_pool_taps_t t = mcg_maxpool2d_taps(g, oy, ox);
            for (int32_t c = 0; c < whole; c += 4) {
                mcg_store32(y + c, mcg_maxpool2d_four(&t, x + t.first + c));
            }
            if (rest != 0) {
                const uint32_t four = mcg_maxpool2d_four(&t, x + t.first + g->channels - 4);
                for (int32_t c = 0; c < rest; c++) {
                    y[whole + c] = (int8_t)mcg_byte(four, (uint32_t)(4 - rest + c));
                }
            }
            for (int32_t c = whole + rest; c < g->channels; c++) {
                const int32_t winner = mcg_maxpool2d_winner(g, x, oy, ox, c);
                y[c] = (int8_t)(winner < 0 ? -128 : x[winner]);
            }
            y += g->channels;
        }
    }
}
