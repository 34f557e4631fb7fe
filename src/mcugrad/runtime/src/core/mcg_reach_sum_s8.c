/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_reach_sum_s8(const mcg_conv2d_t *g, const mcg_map_t *map, int32_t y, int32_t x)
{
    const mcg_position_t left = mcg_position(x + g->pad_left, g->stride_w);
    mcg_position_t row = mcg_position(y + g->pad_top, g->stride_h);
    int32_t sum = 0;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        mcg_position_t column = left;
        for (int32_t kx = 0; kx < g->k_w && mcg_position_hits(row, map->height); kx++) {
            if (mcg_position_hits(column, map->width)) {
                sum += mcg_sum_s8(map->at + (row.at * map->width + column.at) * map->pitch, map->zero,
                                  map->channels);
            }
            column = mcg_position_before(column, g->dilation_w, g->stride_w);
        }
        row = mcg_position_before(row, g->dilation_h, g->stride_h);
    }
    return sum;
}
