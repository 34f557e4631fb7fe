/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_select_certain(int32_t channels, const float *limits, const float *ratio, int32_t *sum)
{
    const int32_t half = (int32_t)mcg_select_wanted(channels, limits, *ratio) / 2;
    int32_t ties;
    int32_t low;
    if (half == 0) {
        return;
    }
    low = mcg_select_largest(channels, half, sum, &ties);
    for (int32_t o = 0; o < channels; o++) {
        const bool tied = sum[o] == low && ties > 0;
        ties -= tied;
        if (sum[o] > low || tied) {
            sum[o] = -sum[o];
        }
    }
}
