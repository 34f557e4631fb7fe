/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels_f32.h"

void mcg_depthwise_pack_f32(const float *w, int32_t taps, int32_t count, float *packed)
{
    for (int32_t tap = 0; tap < taps; tap++) {
        for (int32_t c = 0; c < count; c++) {
            packed[tap * count + c] = w[c * taps + tap];
        }
    }
}
