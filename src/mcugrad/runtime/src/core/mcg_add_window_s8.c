/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Values side by side; with the DSP extension four at a time, whose halves are multiplied where they lie. */
static inline void mcg_add_run_s8(int32_t factor, const int8_t *x, int32_t zero, int32_t count, int32_t *acc)
{
#if MCG_HAS_DSP
    const uint32_t below = mcg_halves(-zero, -zero);
    const int32_t by = (int16_t)factor; /* compilers multiply halves then */
    for (; count >= 4; count -= 4) {
        const uint32_t four = mcg_load32(x);
        const uint32_t even = mcg_sxtab16(below, four);
        const uint32_t odd = mcg_sxtab16_odd(below, four);
        acc[0] += mcg_half(even, 0) * by;
        acc[1] += mcg_half(odd, 0) * by;
        acc[2] += mcg_half(even, 1) * by;
        acc[3] += mcg_half(odd, 1) * by;
        acc += 4;
        x += 4;
    }
#endif
    for (int32_t i = 0; i < count; i++) {
        acc[i] += factor * (x[i] - zero);
    }
}

void mcg_add_window_s8(const mcg_conv2d_t *g, const int8_t *x, int32_t out_y, int32_t out_x, int32_t factor,
                       int32_t *acc)
{
    const int32_t top = out_y * g->stride_h - g->pad_top;
    const int32_t left = out_x * g->stride_w - g->pad_left;
    const int32_t row = g->k_w * g->in_c;
    /* Taps next to each other in the kernel are next to each other in the map: a row is one piece. */
    const int32_t together = g->dilation_w == 1 ? g->k_w : 1;
    for (int32_t kx = 0; kx < g->k_w; kx += together) {
        const int32_t column = left + kx * g->dilation_w;
        const int32_t from = mcg_max(-column, 0);
        const int32_t count = (mcg_min(g->in_w - column, together) - from) * g->in_c;
        int32_t *sums = acc + (kx + from) * g->in_c;
        for (int32_t ky = 0, y = top; ky < g->k_h; ky++) {
            if (y >= 0 && y < g->in_h) {
                mcg_add_run_s8(factor, x + (y * g->in_w + column + from) * g->in_c, g->x_zero, count, sums);
            }
            y += g->dilation_h;
            sums += row;
        }
    }
}
