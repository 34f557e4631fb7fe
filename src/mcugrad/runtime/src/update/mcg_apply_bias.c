/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_apply_bias(int32_t channels, int32_t batch, int32_t momentum, const uint32_t *step,
                    const float *kept, float *change, float *bias)
{
    const float again = (float)momentum / 65536.0F;
    if ((*step + 1U) % (uint32_t)batch != 0U) {
        return;
    }
    for (int32_t o = 0; o < channels; o++) {
        const float d = kept == NULL ? change[o] : change[o] * kept[o];
        bias[o] = bias[o] + d;
        change[o] = d * again;
    }
}
