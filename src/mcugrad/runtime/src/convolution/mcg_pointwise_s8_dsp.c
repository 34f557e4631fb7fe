/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_pointwise_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                      const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                      int32_t room, uint32_t *scratch)
{
    mcg_panel_forward_s8(g, x, w, w_zero, bias, scale, clip, y, peak, room, scratch);
}
