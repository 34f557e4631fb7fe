/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prepare_s8(int32_t channels, const float *x_scale, const float *w_scale, const float *bias,
                    const float *y_scale, float *scale, int32_t *bias_acc)
{
    const float ratio = *x_scale / *y_scale;
    for (int32_t o = 0; o < channels; o++) {
        scale[o] = mcg_factor(ratio * w_scale[o]);
        bias_acc[o] = mcg_round(bias[o] / (*x_scale * w_scale[o]), MCG_BIAS_LIMIT);
    }
}
