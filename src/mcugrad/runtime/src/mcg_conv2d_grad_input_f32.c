/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels_f32.h"

static bool mcg_any_error(const float *e, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (e[i] != 0.0F) {
            return true;
        }
    }
    return false;
}

void mcg_conv2d_grad_input_f32(const mcg_conv2d_t *g, int32_t groups, const float *e, const float *w,
                               float *e_x, float *patch)
{
    const int32_t inner = g->in_c / groups;
    const int32_t outer = g->out_c / groups;
    const int32_t taps = g->k_h * g->k_w * inner;
    for (int32_t i = 0; i < g->in_h * g->in_w * g->in_c; i++) {
        e_x[i] = 0.0F;
    }
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            for (int32_t group = 0; group < groups; group++) {
                if (mcg_any_error(e, outer)) {
                    mcg_combine_f32(outer, taps, e, w + group * outer * taps, patch);
                    mcg_add_patch_f32(g, patch, inner, oy, ox, e_x + group * inner);
                }
                e += outer;
            }
        }
    }
}
