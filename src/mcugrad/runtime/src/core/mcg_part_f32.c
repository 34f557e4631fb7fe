/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_part_f32(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t sign, const float *e,
                  float *e_x)
{
    const float factor = (float)sign;
    for (int32_t r = 0; r < rows; r++) {
        for (int32_t i = 0; i < count; i++) {
            e_x[i] = factor * e[offset + i];
        }
        e += pitch;
        e_x += count;
    }
}
