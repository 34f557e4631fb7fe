/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prelu_grad_s8(int32_t count, int32_t channels, int32_t x_zero, const int8_t *e, const int8_t *x,
                       const int32_t *factor, const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                       int32_t *peak)
{
    const mcg_scale_t to_error = *scale;
    const int32_t low = clip[0];
    const int32_t high = clip[1];
    int32_t highest = 0;
    for (int32_t first = 0; first < count; first += channels) {
        for (int32_t c = 0; c < channels; c++) {
            const int32_t v = x[first + c] - x_zero;
            const int32_t product = e[first + c] * (v < 0 ? factor[1 + c] : factor[0]);
            const int32_t error = v > low && v < high ? mcg_rescale(product, to_error) : 0;
            highest = mcg_max(highest, mcg_abs(error));
            e_x[first + c] = (int8_t)mcg_clamp(error, -127, 127);
        }
    }
    *peak = highest;
}
