/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* A sum as a part of the largest; 1 where it is infinite itself. */
static float mcg_select_part(int32_t sum, float largest)
{
    const float value = mcg_bits_float((uint32_t)sum);
    return value <= 3.4028235e38F ? value / largest : 1.0F;
}

void mcg_select_parts_f32(int32_t channels, const int32_t *sum, int32_t *part)
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
        const float share = sum[o] > 0 ? mcg_select_part(sum[o], largest) / total : 0.0F;
        part[o] = mcg_max((int32_t)(share * 536870912.0F), sum[o] > 0);
    }
}
