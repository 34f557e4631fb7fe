/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_roots_s32(int32_t channels, const int32_t *sum, int32_t *root)
{
    for (int32_t o = 0; o < channels; o++) {
        root[o] = (int32_t)(mcg_sqrt((float)sum[o]) * 64.0F);
    }
}
