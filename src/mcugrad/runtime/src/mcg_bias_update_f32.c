/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels_f32.h"

void mcg_bias_update_f32(int32_t pixels, int32_t channels, const float *e, const float *rate, float *bias)
{
    for (int32_t o = 0; o < channels; o++) {
        float total = 0.0F;
        for (int32_t i = 0; i < pixels; i++) {
            total += e[i * channels + o];
        }
        bias[o] -= *rate * total;
    }
}
