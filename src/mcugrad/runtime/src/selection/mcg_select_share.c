/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_share(int32_t whole, int32_t structures, const uint16_t *active, const int32_t *before,
                      int32_t *count, float *rate)
{
    *count = (before == NULL ? 0 : *before) + whole + active[0];
    *rate = (float)*count / (float)structures;
}
