/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prepare_error(int32_t channels, const float *range, const float *c, const float *w_scale,
                       mcg_scale_t *scale)
{
    const float ratio = 127.0F / mcg_error_reach(*range, c[1], 0.0F);
    for (int32_t o = 0; o < channels; o++) {
        scale[o] = mcg_scale_from_float(ratio * w_scale[o]);
    }
}
