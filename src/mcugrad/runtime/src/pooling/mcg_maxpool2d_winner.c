/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_maxpool2d_winner(const mcg_pool2d_t *g, const int8_t *x, int32_t out_y, int32_t out_x,
                             int32_t channel)
{
    int32_t winner = -1;
    int32_t highest = -129;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = out_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        if (y < 0 || y >= g->in_h) {
            continue;
        }
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            const int32_t column = out_x * g->stride_w - g->pad_left + kx * g->dilation_w;
            if (column >= 0 && column < g->in_w) {
                const int32_t index = (y * g->in_w + column) * g->channels + channel;
                if (x[index] > highest) {
                    highest = x[index];
                    winner = index;
                }
            }
        }
    }
    return winner;
}
