/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_sums_s8(int32_t pixels, int32_t channels, const int8_t *e, int32_t *sum)
{
    for (int32_t o = 0; o < channels; o++) {
        const int8_t *from = e + o;
        int32_t total = 0;
        for (int32_t i = 0; i < pixels; i++) {
            total += mcg_abs(*from);
            from += channels;
        }
        sum[o] = total;
    }
}
