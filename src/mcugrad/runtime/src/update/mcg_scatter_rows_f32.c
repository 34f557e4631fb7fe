/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_scatter_rows_f32(int32_t count, const uint16_t *active, const float *w, float *trained)
{
    for (int32_t k = 0; k < active[0]; k++) {
        mcg_copy_f32(count, w + active[1 + k] * count, trained + k * count);
    }
}
