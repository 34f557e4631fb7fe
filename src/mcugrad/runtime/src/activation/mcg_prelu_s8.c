/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prelu_s8(int32_t count, int32_t channels, int32_t x_zero, int32_t y_zero, const int8_t *x,
                  const int32_t *factor, int8_t *y, int32_t *peak)
{
    const int32_t shift = factor[1 + channels];
    const int32_t half = (int32_t)1 << (shift - 1);
    int32_t highest = 0;
    for (int32_t first = 0; first < count; first += channels) {
        for (int32_t c = 0; c < channels; c++) {
            const int32_t v = x[first + c] - x_zero;
            const int32_t value = (v * (v < 0 ? factor[1 + c] : factor[0]) + half) >> shift;
            highest = mcg_max(highest, mcg_abs(value));
            y[first + c] = (int8_t)mcg_clamp(value + y_zero, -128, 127);
        }
    }
    *peak = highest;
}
