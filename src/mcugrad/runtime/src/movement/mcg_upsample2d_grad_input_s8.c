/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_upsample2d_grad_input_s8(int32_t height, int32_t width, int32_t channels, int32_t factor_h,
                                  int32_t factor_w, int32_t x_zero, const int8_t *e, const int8_t *x,
                                  const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const int32_t pitch = width * factor_w * channels;
    mcg_scale_t factor[MCG_BLOCK];
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    mcg_fill_scale(factor, *scale);
    for (int32_t row = 0; row < height; row++) {
        for (int32_t column = 0; column < width; column++) {
            const int8_t *corner = e + row * factor_h * pitch + column * factor_w * channels;
            for (int32_t first = 0; first < channels; first += MCG_BLOCK) {
                const int32_t block = mcg_min(channels - first, MCG_BLOCK);
                for (int32_t c = 0; c < block; c++) {
                    acc[c] = 0;
                }
                for (int32_t copy_h = 0; copy_h < factor_h; copy_h++) {
                    for (int32_t copy_w = 0; copy_w < factor_w; copy_w++) {
                        const int8_t *from = corner + copy_h * pitch + copy_w * channels + first;
                        for (int32_t c = 0; c < block; c++) {
                            acc[c] += from[c];
                        }
                    }
                }
                highest =
                    mcg_max(highest, mcg_error_s8(acc, x + first, x_zero, factor, clip, block, e_x + first));
            }
            x += channels;
            e_x += channels;
        }
    }
    *peak = highest;
}
