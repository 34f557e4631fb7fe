/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_depthwise_repeat_s8(const int8_t *x, int32_t first, int32_t multiplier, int32_t count, int8_t *row)
{
    int32_t left = multiplier - first % multiplier;
    x += first / multiplier;
    for (int32_t i = 0; i < count; i++) {
        row[i] = *x;
        left -= 1;
        if (left == 0) {
            left = multiplier;
            x += 1;
        }
    }
}
