/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prepare_prelu(int32_t channels, const float *x_scale, const float *y_scale, const float *slope,
                       int32_t *factor)
{
    const float ratio = *x_scale / *y_scale;
    float highest = ratio;
    mcg_scale_t top;
    int32_t shift;
    for (int32_t c = 0; c < channels; c++) {
        const float magnitude = slope[c] < 0.0F ? -slope[c] : slope[c];
        highest = magnitude * ratio > highest ? magnitude * ratio : highest;
    }
    top = mcg_scale_from_float(highest);
    shift = mcg_clamp((int32_t)top.shift - (int32_t)top.pre + MCG_FACTOR_BITS, 1, 30);
    factor[0] = mcg_round(ratio * (float)((int32_t)1 << shift), MCG_FACTOR_LIMIT);
    for (int32_t c = 0; c < channels; c++) {
        factor[1 + c] = mcg_round(slope[c] * ratio * (float)((int32_t)1 << shift), MCG_FACTOR_LIMIT);
    }
    factor[1 + channels] = shift;
}
