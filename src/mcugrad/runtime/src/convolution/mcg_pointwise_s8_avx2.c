/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* A pixel at a time: windows of so many channels have no place. */
static void mcg_pointwise_large(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w,
                                const int32_t *w_zero, const int32_t *bias, const float *scale,
                                const int32_t *clip, int8_t *y, int32_t *peak)
{
    const mcg_linear_t pixel = {g->in_c, g->out_c, g->in_c, g->x_zero, g->y_zero};
    *peak = 0;
    for (int32_t i = 0; i < g->out_h * g->out_w; i++) {
        int32_t highest;
        mcg_linear_s8(&pixel, x + i * g->in_c, w, w_zero, bias, scale, clip, y + i * g->out_c, &highest, 0,
                      NULL);
        *peak = mcg_max(*peak, highest);
    }
}

void mcg_pointwise_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                      const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                      int32_t room, uint32_t *scratch)
{
    int16_t window[1]; /* larger ones are on the stack of what is called */
    if (g->in_c > MCG_WINDOW_TAPS) {
        mcg_pointwise_large(g, x, w, w_zero, bias, scale, clip, y, peak);
    } else {
        mcg_conv2d_s8(g, x, w, w_zero, bias, scale, clip, y, peak, window, room, scratch);
    }
}
