/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_linear_f32(int32_t inputs, int32_t out, const float *x, const float *w, const float *bias,
                    const float *clip, float *y)
{
    mcg_dot_f32(inputs, out, x, w, y);
    for (int32_t o = 0; o < out; o++) {
        y[o] = mcg_clip_real(y[o] + bias[o], clip);
    }
}
