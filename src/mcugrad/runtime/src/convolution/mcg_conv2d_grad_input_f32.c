/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

static bool mcg_any_error(const float *e, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (e[i] != 0.0F) {
            return true;
        }
    }
    return false;
}

void mcg_conv2d_grad_input_f32(const mcg_conv2d_t *g, int32_t groups, const float *e, const uint16_t *active,
                               const float *w, float *e_x, float *patch)
{
    const int32_t inner = g->in_c / groups;
    const int32_t outer = g->out_c / groups;
    const int32_t taps = g->k_h * g->k_w * inner;
    const int32_t channels = mcg_active_count(active, g->out_c);
    for (int32_t i = 0; i < g->in_h * g->in_w * g->in_c; i++) {
        e_x[i] = 0.0F;
    }
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            int32_t end = 0;
            for (int32_t group = 0; group < groups; group++) {
                const int32_t begin = end; /* errors of the group */
                end = mcg_active_before(active, begin, (group + 1) * outer);
                if (mcg_any_error(e + begin, end - begin)) {
                    mcg_combine_f32(end - begin, taps, e + begin, mcg_active_from(active, begin),
                                    active == NULL ? w + begin * taps : w, patch);
                    mcg_add_patch_f32(g, patch, inner, oy, ox, e_x + group * inner);
                }
            }
            e += channels;
        }
    }
}
