/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels_f32.h"

/* A sum as a part of the largest; 1 where it is infinite itself. */
static float mcg_select_part(int32_t sum, float largest)
{
    return sum == MCG_INFINITE ? 1.0F : mcg_bits_float((uint32_t)sum) / largest;
}

void mcg_select_parts_f32(int32_t channels, int32_t *sum)
{
    float total = 0.0F;
    float largest;
    int32_t highest = 0;
    for (int32_t o = 0; o < channels; o++) {
        highest = mcg_max(highest, sum[o]);
    }
    largest = mcg_bits_float((uint32_t)highest);
    for (int32_t o = 0; o < channels; o++) {
        if (sum[o] > 0) {
            total += mcg_select_part(sum[o], largest);
        }
    }
    for (int32_t o = 0; o < channels; o++) {
        if (sum[o] > 0) {
            sum[o] = mcg_max((int32_t)(mcg_select_part(sum[o], largest) / total * 536870912.0F), 1);
        }
    }
}
