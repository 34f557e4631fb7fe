/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prepare_error_ratio(int32_t channels, int32_t e_channels, int32_t x_channels, const float *range,
                             const float *c, const float *e_scale, const float *e_x_scale, mcg_scale_t *scale)
{
    const float ratio = 127.0F / mcg_error_reach(*range, c[1], 0.0F);
    int32_t i = 0;
    int32_t j = 0;
    for (int32_t o = 0; o < channels; o++) {
        scale[o] = mcg_scale_from_float(ratio * (e_x_scale[j] / e_scale[i]));
        i = i + 1 == e_channels ? 0 : i + 1;
        j = j + 1 == x_channels ? 0 : j + 1;
    }
}
