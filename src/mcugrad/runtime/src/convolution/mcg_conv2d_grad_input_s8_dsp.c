/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                              const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                              const int32_t *clip, int8_t *e_x, int32_t *peak, int32_t room,
                              uint32_t *scratch)
{
#if !MCG_HAS_MVE
    if (active != NULL &&
        mcg_thin_grad_input_s8(g, e, active, w, w_zero, x, scale, clip, e_x, peak, room, scratch)) {
        return;
    }
#endif
    if (!mcg_panel_grad_input_s8(g, e, active, w, w_zero, x, scale, clip, e_x, peak, room, scratch)) {
        mcg_row_grad_input_s8(g, e, active, w, w_zero, x, scale, clip, e_x, peak);
    }
}
