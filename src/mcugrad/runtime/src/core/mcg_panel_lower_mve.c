/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_panel_lower(const uint32_t *b, int32_t steps, int32_t a_zero, int32_t rows, int32_t *sums)
{
    int32_t column[4] = {0, 0, 0, 0};
    if (a_zero == 0) {
        return;
    }
    for (int32_t i = 0; i < 4 * steps; i++) {
        for (uint32_t k = 0; k < 4U; k++) {
            column[i & 3] += mcg_byte(b[i], k);
        }
    }
    for (int32_t i = 0; i < 4; i++) {
        column[i] *= a_zero;
    }
    for (int32_t o = 0; o < (rows + 1) / 2 * 2; o++) {
        for (int32_t i = 0; i < 4; i++) {
            sums[i] = (int32_t)((uint32_t)sums[i] - (uint32_t)column[i]);
        }
        sums += 4;
    }
}
