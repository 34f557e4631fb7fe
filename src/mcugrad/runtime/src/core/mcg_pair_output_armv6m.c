/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_pair_output(const int32_t *sums, const mcg_pair_row_t *row, int32_t first, int32_t rows,
                     int32_t pixels, mcg_pair_output_t *how, int8_t *y)
{
    const int32_t *const clip = how->clip;
    const bool relu = clip[0] == 0 && clip[1] >= 255 && how->zero == -128;
    const bool plain = clip[0] <= -128 - how->zero && clip[1] >= 127 - how->zero;
    mcg_pair_outputs_t c = {
        sums, row,        y,         sums + 4 * rows, how->pitch, how->zero, relu ? 0 : INT32_MIN,
        0,    -how->zero, 4 * pixels};
    while (c.sums != c.end) {
        const int32_t left = relu || plain ? mcg_pair_outputs(&c) : 15;
        if (!(relu || plain)) {
            c.sums += 4;
        }
        const int32_t r = (int32_t)(c.sums - sums) / 4 - 1;
        for (int32_t i = 0; i < pixels; i++) {
            if ((left >> (pixels - 1 - i) & 1) != 0) {
                how->highest =
                    mcg_max(how->highest, mcg_output_s8(sums + 4 * r + i, how->scale + first + r, clip,
                                                        how->zero, 1, y + i * how->pitch + r));
            }
        }
    }
    how->highest = mcg_max(how->highest, mcg_max(c.range - c.less - how->zero, how->zero + c.less));
}
