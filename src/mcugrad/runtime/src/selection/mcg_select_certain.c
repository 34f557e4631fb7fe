/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_certain(int32_t channels, const float *limits, const float *ratio, const int32_t *sum,
                        int32_t *marked)
{
    const int32_t half = (int32_t)mcg_select_wanted(channels, limits, *ratio) / 2;
    int32_t low = INT32_MAX;
    int32_t ties = 0;
    if (half > 0) {
        low = mcg_select_largest(channels, half, sum, &ties);
    }
    for (int32_t o = 0; o < channels; o++) {
        const bool tied = sum[o] == low && ties > 0;
        ties -= tied;
        marked[o] = sum[o] > low || tied ? -sum[o] : sum[o];
    }
}
