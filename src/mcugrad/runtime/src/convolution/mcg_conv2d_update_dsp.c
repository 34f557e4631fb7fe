/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                       float *w_scale, int32_t *gradient, int16_t *patch, int32_t room, uint32_t *scratch)
{
    /* Gradients of rows exist four weights at a time, so their memory is scratch as well. */
    const int32_t own = 4 * mcg_min(rows, g->out_c) * g->k_h * g->k_w * g->in_c;
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    uint32_t *const most = room < own ? (uint32_t *)gradient : scratch;
    (void)patch;
#if !MCG_HAS_MVE
    if (active != NULL && mcg_thin_update(g, x, e, active, factor, rule, stream, w, residual, w_scale,
                                          mcg_max(room, own), most)) {
        return;
    }
#endif
    mcg_panel_update(g, x, e, active, factor, rule, stream, w, residual, w_scale, mcg_max(room, own), most);
}
