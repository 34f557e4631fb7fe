/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Whether sums of four become outputs at once. */
static bool mcg_frozen_serves(const mcg_plane_axes_t *a)
{
    const bool five = a->kind == MCG_PLANE_FIVE || a->kind == MCG_PLANE_STRIDED_FIVE;
    return (a->g.out_w & 3) == 0 && a->kind != MCG_PLANE_STEPS && a->kind != MCG_PLANE_STRIDED_STEPS &&
           a->g.k_h <= (five ? 5 : 7);
}

/* By planes; false where there is no room for them, or others do it. Apart: what is on the stack then must
 * not be there beside what these have. */
MCG_APART static bool mcg_planes_frozen(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w,
                                        const int32_t *w_zero, const int32_t *bias, const float *scale,
                                        const int32_t *mult, int8_t *y, int8_t *packed, int32_t room,
                                        uint32_t *scratch)
{
    const int32_t taps = g->k_h * g->k_w;
    const int32_t zero = w_zero == NULL ? 0 : *w_zero;
    mcg_plane_axes_t a;
    mcg_plane_band_t band;
    mcg_plane_out_t out;
    if (MCG_SLOW_FLOATS || g->in_c != g->out_c || g->in_c < MCG_PLANE_CHANNELS ||
        !mcg_plane_straight(g, &a) || !mcg_frozen_serves(&a) ||
        !mcg_plane_room(&a, room, scratch, taps * mcg_min(g->out_c, MCG_BLOCK), packed, &band)) {
        return false;
    }
    out.zero = mcg_fixed_zero(g->y_zero);
    out.column = a.out_column;
    out.columns = 3 * a.out_column;
    out.row = a.out_row - a.g.out_w * a.out_column;
    for (int32_t row = 0; row < a.g.out_h; row += band.rows) {
        const int32_t rows = mcg_min(band.rows, a.g.out_h - row);
        mcg_plane_begin(&a, &band, row * a.g.stride_h - a.g.pad_top);
        for (int32_t next = 0; next < g->out_c; next += MCG_PLANE_CHANNELS) {
            /* Of the last four some may be made twice. */
            const int32_t first = mcg_min(next, g->out_c - MCG_PLANE_CHANNELS);
            out.y = y + a.out_first + row * a.out_row + first;
            out.mults = mult + first;
            out.scales = scale + first;
            mcg_plane_frozen(&a, &band, x + first, w + first * taps, taps, zero, bias + first, rows, &out);
        }
    }
    return true;
}

void mcg_depthwise_frozen_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                             const int32_t *bias, const float *scale, const int32_t *mult,
                             const int32_t *clip, int8_t *y, int8_t *packed, int32_t room, uint32_t *scratch)
{
    if (!mcg_planes_frozen(g, x, w, w_zero, bias, scale, mult, y, packed, room, scratch)) {
        int32_t peak;
        mcg_depthwise_conv2d_s8(g, x, w, w_zero, bias, scale, clip, y, &peak, packed, room, scratch);
    }
}
