/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_topk(int32_t channels, const float *limits, const float *ratio, const int32_t *sum,
                     uint16_t *active)
{
    const int32_t wanted = (int32_t)mcg_select_wanted(channels, limits, *ratio);
    int32_t ties;
    const int32_t low = mcg_select_largest(channels, wanted, sum, &ties);
    int32_t kept = 0;
    for (int32_t o = 0; o < channels; o++) {
        bool keeps = sum[o] > low;
        if (sum[o] == low && ties > 0) {
            ties -= 1;
            keeps = low > 0;
        }
        if (keeps) {
            kept += 1;
            active[kept] = (uint16_t)o;
        }
    }
    active[0] = (uint16_t)kept;
}
