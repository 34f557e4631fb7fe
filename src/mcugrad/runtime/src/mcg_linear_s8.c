/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_linear_s8(const mcg_linear_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                   const mcg_scale_t *scale, const int32_t *clip, int8_t *y, int32_t *peak)
{
    int32_t highest = 0;
    for (int32_t o = 0; o < g->out; o++) {
        int32_t acc = bias[o];
        for (int32_t i = 0; i < g->inputs; i++) {
            acc += *w++ * (int16_t)(x[i] - g->x_zero);
        }
        acc = mcg_clamp(mcg_rescale(acc, scale[o]), clip[0], clip[1]);
        highest = mcg_max(highest, mcg_abs(acc));
        y[o] = (int8_t)mcg_clamp(acc + g->y_zero, -128, 127);
    }
    *peak = highest;
}
