/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_concat_f32(int32_t rows, int32_t count, int32_t pitch, int32_t offset, const float *x,
                    const float *clip, float *y)
{
    for (int32_t r = 0; r < rows; r++) {
        for (int32_t i = 0; i < count; i++) {
            y[offset + i] = mcg_clip_real(x[i], clip);
        }
        x += count;
        y += pitch;
    }
}
