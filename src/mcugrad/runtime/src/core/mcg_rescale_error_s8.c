/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_rescale_error_s8(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t channels,
                          int32_t x_zero, int32_t sign, const int8_t *e, const int8_t *x,
                          const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    e += offset;
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t first = 0; first < count; first += MCG_BLOCK) {
            const int32_t block = mcg_min(count - first, MCG_BLOCK);
            const int32_t at = row * count + first;
            for (int32_t i = 0; i < block; i++) {
                acc[i] = sign * e[row * pitch + first + i];
            }
            highest = mcg_max(highest, mcg_error_channels_s8(acc, x + at, x_zero, scale, channels, at, clip,
                                                             block, e_x + at));
        }
    }
    *peak = highest;
}
