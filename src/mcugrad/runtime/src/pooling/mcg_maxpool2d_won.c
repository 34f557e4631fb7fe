/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_maxpool2d_won(const mcg_pool2d_t *g, const mcg_pool_taps_t *t, int32_t number, const int8_t *x,
                          int32_t channel, mcg_pool_kept_t *to)
{
    int32_t highest = -129;
    int32_t won = 0;
    int32_t line = t->first + channel;
    for (int32_t ky = 0; ky < t->rows; ky++) {
        int32_t at = line;
        for (int32_t kx = 0; kx < t->columns; kx++) {
            const int32_t value = x[at];
            if (value > highest) {
                highest = value;
                won = number + kx;
            }
            at += t->column_step;
        }
        line += t->row_step;
        number += g->k_w;
    }
    mcg_maxpool2d_keep_bits(to, (uint32_t)won, to->bits);
    return mcg_max(highest, -128);
}
