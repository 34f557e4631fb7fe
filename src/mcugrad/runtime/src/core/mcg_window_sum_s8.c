/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_window_sum_s8(const mcg_conv2d_t *g, const mcg_map_t *map, int32_t y, int32_t x)
{
    int32_t row = y * g->stride_h - g->pad_top;
    int32_t sum = 0;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        int32_t column = x * g->stride_w - g->pad_left;
        for (int32_t kx = 0; kx < g->k_w && row >= 0 && row < map->height; kx++) {
            if (column >= 0 && column < map->width) {
                sum +=
                    mcg_sum_s8(map->at + (row * map->width + column) * map->pitch, map->zero, map->channels);
            }
            column += g->dilation_w;
        }
        row += g->dilation_h;
    }
    return sum;
}
