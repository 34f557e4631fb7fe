/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_upsample2d_grad_input_f32(int32_t height, int32_t width, int32_t channels, int32_t factor_h,
                                   int32_t factor_w, const float *e, float *e_x)
{
    for (int32_t i = 0; i < height * width * channels; i++) {
        e_x[i] = 0.0F;
    }
    for (int32_t i = 0; i < height * factor_h; i++) {
        float *row = e_x + i / factor_h * width * channels;
        for (int32_t j = 0; j < width * factor_w; j++) {
            float *pixel = row + j / factor_w * channels;
            for (int32_t c = 0; c < channels; c++) {
                pixel[c] += *e++;
            }
        }
    }
}
