/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* How many channels have a sum of at least `least`. */
static int32_t mcg_select_count(int32_t channels, const int32_t *sum, int32_t least)
{
    int32_t count = 0;
    for (int32_t o = 0; o < channels; o++) {
        count += sum[o] >= least;
    }
    return count;
}

/* The smallest sum that is at least `least`, which some are. */
static int32_t mcg_select_least(int32_t channels, const int32_t *sum, int32_t least)
{
    int32_t lowest = INT32_MAX;
    for (int32_t o = 0; o < channels; o++) {
        if (sum[o] >= least && sum[o] < lowest) {
            lowest = sum[o];
        }
    }
    return lowest;
}

int32_t mcg_select_largest(int32_t channels, int32_t wanted, const int32_t *sum, int32_t *ties)
{
    int32_t low = 0; /* the sum looked for is from here on, and below high */
    int32_t high = 1;
    for (int32_t o = 0; o < channels; o++) {
        high = mcg_max(high, sum[o] + 1);
    }
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        const int32_t count = mcg_select_count(channels, sum, middle);
        if (count == wanted) { /* it is one of these, and nearly always long before the bounds meet */
            low = mcg_select_least(channels, sum, middle);
            break;
        }
        if (count > wanted) {
            low = middle;
        } else {
            high = middle;
        }
    }
    *ties = wanted - mcg_select_count(channels, sum, low + 1);
    return low;
}
