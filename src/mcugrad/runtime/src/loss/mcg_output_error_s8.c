/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_output_error_s8(int32_t outputs, int32_t channels, int32_t zero, const int8_t *y,
                         const float *w_scale, const int32_t *clip, float *error, int8_t *e, float *c)
{
    float highest = 0.0F;
    for (int32_t i = 0; i < outputs; i++) {
        const int32_t value = y[i] - zero;
        const float scaled = value > clip[0] && value < clip[1] ? error[i] * w_scale[i % channels] : 0.0F;
        const float size = scaled < 0.0F ? -scaled : scaled;
        error[i] = scaled;
        highest = size > highest ? size : highest;
    }
    c[0] = highest / 127.0F;
    c[1] = highest > 0.0F ? 1.0F : 0.0F;
    for (int32_t i = 0; i < outputs; i++) {
        e[i] = highest > 0.0F ? (int8_t)mcg_clamp(mcg_round(error[i] / highest * 127.0F, 128), -127, 127) : 0;
    }
}
