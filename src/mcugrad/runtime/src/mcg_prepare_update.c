/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_prepare_update(int32_t channels, const float *rate, const float *c, const float *x_scale,
                        const float *w_scale, mcg_scale_t *factor)
{
    const float ratio = *rate * *c * *x_scale * 65536.0F;
    for (int32_t o = 0; o < channels; o++) {
        factor[o] = mcg_scale_from_float(ratio / (w_scale[o] * w_scale[o]));
    }
}
