/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels_f32.h"

void mcg_linear_update_f32(int32_t inputs, int32_t out, const float *restrict x, const float *e,
                           const float *rate, float *restrict w)
{
    const float step = *rate;
    for (int32_t o = 0; o < out; o++) {
        const float error = e[o];
        if (error != 0.0F) {
            for (int32_t i = 0; i < inputs; i++) {
                w[i] -= step * (error * x[i]);
            }
        }
        w += inputs;
    }
}
