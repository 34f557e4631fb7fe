/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_gather_rows_f32(int32_t rows, int32_t count, const uint16_t *active, const float *frozen,
                         const float *trained, float *w)
{
    int32_t k = 0;
    for (int32_t o = 0; o < rows; o++) {
        const bool trains = k < active[0] && active[1 + k] == o;
        mcg_copy_f32(count, trains ? trained + k * count : frozen + (o - k) * count, w + o * count);
        k += trains ? 1 : 0;
    }
}
