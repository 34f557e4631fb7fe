/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_upsample2d_s8(int32_t height, int32_t width, int32_t channels, int32_t factor_h, int32_t factor_w,
                       const int8_t *x, int8_t *y)
{
    for (int32_t row = 0; row < height; row++) {
        for (int32_t copy_h = 0; copy_h < factor_h; copy_h++) {
            const int8_t *pixel = x;
            for (int32_t column = 0; column < width; column++) {
                for (int32_t copy_w = 0; copy_w < factor_w; copy_w++) {
                    for (int32_t c = 0; c < channels; c++) {
                        *y++ = pixel[c];
                    }
                }
                pixel += channels;
            }
        }
        x += width * channels;
    }
}
