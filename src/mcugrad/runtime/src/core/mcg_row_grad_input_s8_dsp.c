/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Input channels of a pixel, and rows of weights that are listed, at a time. */
#define MCG_ROW_CHANNELS 64
#define MCG_ROW_FEW 32

/* What one tap adds to the sums of some input channels; whether sums are there. */
static bool mcg_row_tap(const int8_t *e, int32_t out_c, const uint16_t *active, const int8_t *w,
                        int32_t pitch, int32_t count, bool more, int32_t *acc)
{
    mcg_row_group_t list[MCG_ROW_FEW / 4];
    for (int32_t first = 0; first < out_c; first += MCG_ROW_FEW) {
        const int32_t groups = mcg_row_list(e + first, mcg_min(out_c - first, MCG_ROW_FEW),
                                            mcg_active_from(active, first), first, pitch, list);
        if (groups != 0) {
            mcg_row_spread(list, groups, w, count, more, acc);
            more = true;
        }
    }
    return more;
}

/* The same for less than four channels: a list would cost more than what it is for. */
static void mcg_row_few(const int8_t *e, int32_t out_c, const uint16_t *active, const int8_t *w,
                        int32_t pitch, int32_t count, bool more, int32_t *acc)
{
    for (int32_t c = 0; c < count; c++) {
        int32_t sum = more ? acc[c] : 0;
        for (int32_t o = 0; o < out_c; o++) {
            sum += e[o] * w[mcg_active_at(active, o) * pitch];
        }
        acc[c] = sum;
        w++;
    }
}

/* Sums of some input channels at one pixel; false where no error reaches it, and none was written. */
static bool mcg_row_pixel(const mcg_conv2d_t *g, const int8_t *e, int32_t out_c, const uint16_t *active,
                          const int8_t *w, mcg_position_t y, mcg_position_t left, int32_t count, int32_t *acc)
{
    const int32_t pitch = g->k_h * g->k_w * g->in_c;
    bool more = false;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        if (mcg_position_hits(y, g->out_h)) {
            mcg_position_t x = left;
            for (int32_t kx = 0; kx < g->k_w; kx++) {
                if (mcg_position_hits(x, g->out_w)) {
                    const int8_t *const from = e + (y.at * g->out_w + x.at) * out_c;
                    const int8_t *const tap = w + (ky * g->k_w + kx) * g->in_c;
                    if (count < 4) {
                        mcg_row_few(from, out_c, active, tap, pitch, count, more, acc);
                        more = true;
                    } else {
                        more = mcg_row_tap(from, out_c, active, tap, pitch, count, more, acc);
                    }
                }
                x = mcg_position_before(x, g->dilation_w, g->stride_w);
            }
        }
        y = mcg_position_before(y, g->dilation_h, g->stride_h);
    }
    return more;
}

MCG_APART
void mcg_row_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                           const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                           const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const int32_t out_c = mcg_active_count(active, g->out_c);
    int32_t acc[MCG_ROW_CHANNELS];
    int32_t highest = 0;
    for (int32_t iy = 0; iy < g->in_h; iy++) {
        const mcg_position_t top = mcg_position(iy + g->pad_top, g->stride_h);
        for (int32_t ix = 0; ix < g->in_w; ix++) {
            const mcg_position_t left = mcg_position(ix + g->pad_left, g->stride_w);
            for (int32_t first = 0; first < g->in_c; first += MCG_ROW_CHANNELS) {
                const int32_t count = mcg_min(g->in_c - first, MCG_ROW_CHANNELS);
                const bool some = mcg_row_pixel(g, e, out_c, active, w + first, top, left, count, acc);
                for (int32_t c = 0; c < count && !some; c++) {
                    acc[c] = 0;
                }
                if (w_zero != NULL) {
                    const mcg_map_t map = {e, g->out_h, g->out_w, out_c, out_c, 0};
                    mcg_lower(*w_zero * mcg_reach_sum_s8(g, &map, iy, ix), count, acc);
                }
                highest = mcg_max(highest, mcg_row_errors(acc, x + first, g->x_zero, scale + first, clip,
                                                          count, e_x + first));
            }
            x += g->in_c;
            e_x += g->in_c;
        }
    }
    *peak = highest;
}
