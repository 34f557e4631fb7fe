/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_quantize_s16(int32_t count, int32_t zero, int32_t middle, const mcg_scale_t *scale,
                      const int16_t *raw, int8_t *x)
{
    for (int32_t i = 0; i < count; i++) {
        x[i] = (int8_t)mcg_clamp(mcg_rescale(raw[i] - middle, *scale) + zero, -128, 127);
    }
}
