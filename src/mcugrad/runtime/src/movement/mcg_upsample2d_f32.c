/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_upsample2d_f32(int32_t height, int32_t width, int32_t channels, int32_t factor_h, int32_t factor_w,
                        const float *x, float *y)
{
    for (int32_t i = 0; i < height * factor_h; i++) {
        const float *row = x + i / factor_h * width * channels;
        for (int32_t j = 0; j < width * factor_w; j++) {
            const float *pixel = row + j / factor_w * channels;
            for (int32_t c = 0; c < channels; c++) {
                *y++ = pixel[c];
            }
        }
    }
}
