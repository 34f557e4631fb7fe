/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_pair_errors(const int32_t *sums, const mcg_pair_row_t *row, int32_t first, int32_t rows,
                     int32_t pixels, const int32_t *at, mcg_pair_error_t *how)
{
    const int32_t low = mcg_clamp(how->clip[0], -1000, 1000);
    const int32_t high = mcg_clamp(how->clip[1], -1000, 1000);
    mcg_pair_errors_t c = {sums,
                           row,
                           how->x + first,
                           sums + 4 * rows,
                           how->e + first,
                           how->x_zero + low + 1,
                           (uint32_t)mcg_max(high - low - 1, 0),
                           0,
                           at,
                           4 * pixels};
    int32_t root = 0;
    while (c.sums != c.end) {
        const int32_t left = mcg_pair_rescaled(&c);
        const int32_t r = (int32_t)(c.sums - sums) / 4 - 1;
        const int32_t channel = first + r;
        for (int32_t i = 0; left != 0 && i < pixels; i++) {
            if ((left >> (pixels - 1 - i) & 1) != 0) {
                how->highest = mcg_max(
                    how->highest, mcg_error_s8(sums + 4 * r + i, how->x + at[i] + channel, how->x_zero,
                                               how->scale + channel, how->clip, 1, how->e + at[i] + channel));
            }
        }
    }
    while (root * root < c.square) {
        root++;
    }
    how->highest = mcg_max(how->highest, root);
}
