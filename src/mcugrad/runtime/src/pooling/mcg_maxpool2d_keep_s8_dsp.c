/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Numbers of the first taps of four channels that are as large as the largest, a byte each. */
static uint32_t mcg_keep_four(const mcg_pool_taps_t *t, int32_t number, int32_t pitch, const int8_t *x,
                              uint32_t most)
{
    uint32_t won = 0;
    for (int32_t ky = t->rows - 1; ky >= 0; ky--) {
        for (int32_t kx = t->columns - 1; kx >= 0; kx--) {
            const uint32_t four = mcg_load32(x + ky * t->row_step + kx * t->column_step);
            won = mcg_select8(four, most, (uint32_t)(number + ky * pitch + kx) * 0x01010101U, won);
        }
    }
    return won;
}

/* Four channels at a time, the last ones alone: y may lie where x was. */
void mcg_maxpool2d_keep_s8(const mcg_pool2d_t *g, const int8_t *x, int8_t *y, uint8_t *kept)
{
    const int32_t whole = g->channels & ~3;
    const uint32_t bits = mcg_maxpool2d_bits(g);
    const uint32_t mask = (1U << bits) - 1U;
    mcg_pool_kept_t to = {kept, bits, 0, 0};
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            int32_t number;
            const mcg_pool_taps_t t = mcg_maxpool2d_numbered(g, oy, ox, &number);
            for (int32_t c = 0; c < whole; c += 4) {
                const uint32_t most = mcg_maxpool2d_four(&t, x + t.first + c);
                const uint32_t won = mcg_keep_four(&t, number, g->k_w, x + t.first + c, most);
                mcg_store32(y + c, most);
                mcg_maxpool2d_keep_bits(&to,
                                        (won & mask) | (won >> 8 & mask) << bits |
                                            (won >> 16 & mask) << 2 * bits | (won >> 24) << 3 * bits,
                                        4 * bits);
            }
            for (int32_t c = whole; c < g->channels; c++) {
                y[c] = (int8_t)mcg_maxpool2d_won(g, &t, number, x, c, &to);
            }
            y += g->channels;
        }
    }
    mcg_maxpool2d_keep_last(&to);
}
