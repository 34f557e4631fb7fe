/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prelu_grad_f32(int32_t count, int32_t channels, const float *e, const float *x, const float *slope,
                        float *e_x)
{
    for (int32_t first = 0; first < count; first += channels) {
        for (int32_t c = 0; c < channels; c++) {
            const float error = e[first + c];
            e_x[first + c] = x[first + c] < 0.0F ? error * slope[c] : error;
        }
    }
}
