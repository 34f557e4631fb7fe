/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Channels and pixels that are not four, and all where bounds or factors are unusual. */
int32_t mcg_panel_output_each(const int32_t *sums, int32_t first, int32_t rows, int32_t pixels,
                              const mcg_panel_output_t *how, int8_t *y)
{
    int32_t column[8];
    int32_t highest = 0;
    for (int32_t o = 0; o < rows; o += 8) {
        const int32_t count = mcg_min(rows - o, 8);
        for (int32_t p = 0; p < pixels; p++) {
            for (int32_t i = 0; i < count; i++) {
                column[i] = sums[4 * (o + i) + p];
            }
            highest = mcg_max(highest, mcg_output_s8(column, how->scale + first + o, how->clip, how->zero,
                                                     count, y + p * how->pitch + o));
        }
    }
    return highest;
}
