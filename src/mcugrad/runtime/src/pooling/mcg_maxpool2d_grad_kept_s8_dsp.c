/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Four channels of a window of 2x2: their four places share a byte, and each error goes to one of four words.
 */
static void mcg_kept_four(uint32_t error, uint32_t kept, int32_t column, int32_t line, int8_t *e_x)
{
    const uint32_t won = (kept | kept << 6 | kept << 12 | kept << 18) & 0x03030303U;
    const uint32_t behind = mcg_select8(won, 0x01010101U, error, 0);
    const uint32_t below = mcg_select8(won, 0x02020202U, error, 0);
    const uint32_t last = mcg_select8(won, 0x03030303U, error, 0);
    mcg_store32(e_x, error ^ behind);
    mcg_store32(e_x + column, behind ^ below);
    mcg_store32(e_x + line, below ^ last);
    mcg_store32(e_x + line + column, last);
}

void mcg_maxpool2d_grad_kept_s8(const mcg_pool2d_t *g, const int8_t *e, const uint8_t *kept, int8_t *e_x)
{
    const int32_t line = g->in_w * g->channels;
    if (!mcg_maxpool2d_is_plain(g) || g->stride_h != 2 || g->stride_w != 2 || g->in_h != 2 * g->out_h ||
        g->in_w != 2 * g->out_w) {
        mcg_maxpool2d_spread_kept(g, e, kept, e_x);
        return;
    }
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            for (int32_t c = 0; c < g->channels; c += 4) {
                mcg_kept_four(mcg_load32(e), *kept, g->channels, line, e_x + c);
                e += 4;
                kept++;
            }
            e_x += 2 * g->channels;
        }
        e_x += line;
    }
}
