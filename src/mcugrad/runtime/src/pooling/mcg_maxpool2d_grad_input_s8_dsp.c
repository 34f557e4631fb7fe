/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Gives each of four errors to the first input of its window that is as large as the largest. */
static void mcg_maxpool2d_give(const mcg_pool_taps_t *t, const int8_t *x, uint32_t errors, int8_t *e_x)
{
    const uint32_t most = mcg_maxpool2d_four(t, x);
    for (int32_t ky = 0; ky < t->rows; ky++) {
        for (int32_t at = ky * t->row_step; at != ky * t->row_step + t->columns * t->column_step;
             at += t->column_step) {
            const uint32_t four = mcg_load32(x + at);
            const uint32_t sum = mcg_qadd8(mcg_load32(e_x + at), mcg_select8(four, most, errors, 0));
            mcg_store32(e_x + at, mcg_select8(sum, 0x81818181U, sum, 0x81818181U));
            errors = mcg_select8(four, most, 0, errors);
        }
    }
}

void mcg_maxpool2d_grad_input_s8(const mcg_pool2d_t *g, const int8_t *e, const int8_t *x, int8_t *e_x)
{
    const int32_t size = g->in_h * g->in_w * g->channels;
    const int32_t whole = g->channels & ~3;
    const int32_t rest = g->channels < 4 ? 0 : g->channels - whole;
    for (int32_t i = 0; i < size; i++) {
        e_x[i] = 0;
    }
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            const mcg_pool_taps_t t = mcg_maxpool2d_taps(g, oy, ox);
            for (int32_t c = 0; c < whole; c += 4) {
                const uint32_t errors = mcg_load32(e + c);
                if (errors != 0U) {
                    mcg_maxpool2d_give(&t, x + t.first + c, errors, e_x + t.first + c);
                }
            }
            if (rest != 0) { /* the last four, less those that were among others */
                const int32_t c = g->channels - 4;
                const uint32_t errors = mcg_load32(e + c) & (0xffffffffU << (8 * (4 - rest)));
                mcg_maxpool2d_give(&t, x + t.first + c, errors, e_x + t.first + c);
            }
            for (int32_t c = whole + rest; c < g->channels; c++) {
                const int32_t winner = mcg_maxpool2d_winner(g, x, oy, ox, c);
                if (winner >= 0) {
                    e_x[winner] = (int8_t)mcg_clamp(e_x[winner] + e[c], -127, 127);
                }
            }
            e += g->channels;
        }
    }
}
