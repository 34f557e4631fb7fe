/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prelu_f32(int32_t count, int32_t channels, const float *x, const float *slope, float *y)
{
    for (int32_t first = 0; first < count; first += channels) {
        for (int32_t c = 0; c < channels; c++) {
            const float value = x[first + c];
            y[first + c] = value < 0.0F ? value * slope[c] : value;
        }
    }
}
