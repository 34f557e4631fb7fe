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

/* Windows of 2x2 that are there: the places of four channels share a byte. */
static void mcg_keep_plain(const mcg_pool2d_t *g, const int8_t *x, int8_t *y, uint8_t *kept)
{
    const int32_t column = g->channels;
    const int32_t line = g->in_w * g->channels;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        const int8_t *window = x + oy * g->stride_h * line;
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            for (int32_t c = 0; c < g->channels; c += 4) {
                const uint32_t a = mcg_load32(window + c);
                const uint32_t b = mcg_load32(window + c + column);
                const uint32_t d = mcg_load32(window + c + line);
                const uint32_t e = mcg_load32(window + c + line + column);
                const uint32_t upper = mcg_select8(a, b, a, b);
                const uint32_t lower = mcg_select8(d, e, d, e);
                const uint32_t of_upper = mcg_select8(a, b, 0, 0x01010101U);
                const uint32_t of_lower = mcg_select8(d, e, 0x02020202U, 0x03030303U);
                uint32_t won = mcg_select8(upper, lower, of_upper, of_lower);
                mcg_store32(y, mcg_select8(upper, lower, upper, lower));
                y += 4;
                won |= won >> 6;
                *kept++ = (uint8_t)(won | won >> 12);
            }
            window += g->stride_w * column;
        }
    }
}

/* Four channels at a time, the last ones alone: y may lie where x was. */
void mcg_maxpool2d_keep_s8(const mcg_pool2d_t *g, const int8_t *x, int8_t *y, uint8_t *kept)
{
    const int32_t whole = g->channels & ~3;
    const uint32_t bits = mcg_maxpool2d_bits(g);
    const uint32_t mask = (1U << bits) - 1U;
    mcg_pool_kept_t to = {kept, bits, 0, 0};
    if (mcg_maxpool2d_is_plain(g)) {
        mcg_keep_plain(g, x, y, kept);
        return;
    }
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
