/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_concat_s8(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t x_zero, int32_t y_zero,
                   const int8_t *x, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak)
{
    float factor[MCG_BLOCK];
    int32_t acc[MCG_BLOCK];
    int32_t highest = offset == 0 ? 0 : *peak; /* the first part starts anew */
    mcg_fill_factor(factor, *scale);
    for (int32_t row = 0; row < rows; row++) {
        int8_t *to = y + row * pitch + offset;
        for (int32_t first = 0; first < count; first += MCG_BLOCK) {
            const int32_t block = mcg_min(count - first, MCG_BLOCK);
            for (int32_t i = 0; i < block; i++) {
                acc[i] = x[first + i] - x_zero;
            }
            highest = mcg_max(highest, mcg_output_s8(acc, factor, clip, y_zero, block, to + first));
        }
        x += count;
    }
    *peak = highest;
}
