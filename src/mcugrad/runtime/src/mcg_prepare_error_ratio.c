/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_prepare_error_ratio(int32_t channels, const float *range, const float *e_scale,
                             const float *e_x_scale, mcg_scale_t *scale)
{
    const float ratio = 127.0F / *range;
    for (int32_t o = 0; o < channels; o++) {
        scale[o] = mcg_scale_from_float(ratio * (e_x_scale[o] / e_scale[o]));
    }
}
