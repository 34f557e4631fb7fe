/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_sums_f32(int32_t pixels, int32_t channels, const float *e, int32_t *sum)
{
    for (int32_t o = 0; o < channels; o++) {
        const float *from = e + o;
        float total = 0.0F;
        for (int32_t i = 0; i < pixels; i++) {
            total += *from < 0.0F ? -*from : *from;
            from += channels;
        }
        sum[o] = total <= 3.4028235e38F ? (int32_t)mcg_float_bits(total) : 0x7f800000;
    }
}
