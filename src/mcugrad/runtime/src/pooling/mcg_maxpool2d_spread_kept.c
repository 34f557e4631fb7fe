/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_maxpool2d_spread_kept(const mcg_pool2d_t *g, const int8_t *e, const uint8_t *kept, int8_t *e_x)
{
    const uint32_t bits = mcg_maxpool2d_bits(g);
    const uint32_t mask = (1U << bits) - 1U;
    const int32_t pitch = g->in_w * g->channels;
    uint32_t place = 0;
    int8_t *clear = e_x;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        const int32_t top = oy * g->stride_h - g->pad_top;
        const int32_t next = oy + 1 == g->out_h ? g->in_h : mcg_clamp(top + g->stride_h, 0, g->in_h);
        /* Errors of this row and of later ones lie behind what is written for it: e may end where e_x does.
         */
        const int8_t *const end = e_x + next * pitch;
        while (clear < end) {
            *clear++ = 0;
        }
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            int32_t number;
            const mcg_pool_taps_t t = mcg_maxpool2d_numbered(g, oy, ox, &number);
            for (int32_t c = 0; c < g->channels; c++) {
                const int32_t error = *e++;
                int32_t tap = (int32_t)((uint32_t)*kept >> place & mask) - number;
                int32_t at = t.first + c;
                place += bits;
                kept += place >> 3;
                place &= 7U;
                if (error != 0 && t.rows > 0 && t.columns > 0) {
                    while (tap >= t.columns) {
                        tap -= g->k_w;
                        at += t.row_step;
                    }
                    e_x[at + tap * t.column_step] = (int8_t)error;
                }
            }
        }
    }
}
