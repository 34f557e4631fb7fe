/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_shrink_s8(int8_t *w, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        w[i] = (int8_t)((w[i] * MCG_SHRINK + 0x8000) >> 16);
    }
}
