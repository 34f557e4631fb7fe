/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_bias_update(int32_t pixels, int32_t channels, const int8_t *e, const float *rate, const float *c,
                     const float *w_scale, float *bias)
{
    const float ratio = *rate * *c;
    for (int32_t o = 0; o < channels; o++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < pixels; i++) {
            sum += e[i * channels + o];
        }
        bias[o] -= ratio / w_scale[o] * (float)sum;
    }
}
