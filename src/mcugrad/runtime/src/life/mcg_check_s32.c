/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_check_s32(int32_t count, int32_t least, int32_t most, const int32_t *x, uint32_t *wrong)
{
    for (int32_t i = 0; i < count; i++) {
        *wrong += x[i] >= least && x[i] <= most ? 0U : 1U;
    }
}
