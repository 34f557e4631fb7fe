/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_rescale_error_s8(int32_t count, int32_t channels, int32_t x_zero, int32_t sign, const int8_t *e,
                          const int8_t *x, const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                          int32_t *peak)
{
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t pixel = 0; pixel < count; pixel += channels) {
        for (int32_t first = 0; first < channels; first += MCG_BLOCK) {
            const int32_t block = mcg_min(channels - first, MCG_BLOCK);
            const int32_t start = pixel + first;
            for (int32_t c = 0; c < block; c++) {
                acc[c] = sign * e[start + c];
            }
            highest = mcg_max(highest,
                              mcg_error_s8(acc, x + start, x_zero, scale + first, clip, block, e_x + start));
        }
    }
    *peak = highest;
}
