/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Channels and pixels that are not four, and all where something saturates or factors are unusual. */
MCG_APART
int32_t mcg_panel_errors_each(const int32_t *sums, int32_t first, int32_t rows, int32_t pixels,
                              const int32_t *at, const mcg_panel_error_t *how)
{
    int32_t column[8];
    int32_t highest = 0;
    for (int32_t o = 0; o < rows; o += 8) {
        const int32_t count = mcg_min(rows - o, 8);
        for (int32_t p = 0; p < pixels; p++) {
            const int32_t place = at[p] + first + o;
            for (int32_t i = 0; i < count; i++) {
                column[i] = sums[4 * (o + i) + p];
            }
            highest =
                mcg_max(highest, mcg_row_each(column, how->x + place, how->x_zero, how->scale + first + o,
                                              how->clip, count, how->e + place));
        }
    }
    return highest;
}
