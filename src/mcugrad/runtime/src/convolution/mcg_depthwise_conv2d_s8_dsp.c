/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* By planes; false where there is no room for them. Apart: what is on the stack then must not be there beside
 * what portable loops have. */
MCG_APART static bool mcg_planes_forward(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w,
                                         const int32_t *w_zero, const int32_t *bias, const float *scale,
                                         const int32_t *clip, int8_t *y, int32_t *peak, int8_t *packed,
                                         int32_t room, uint32_t *scratch)
{
    const int32_t taps = g->k_h * g->k_w;
    const int32_t zero = w_zero == NULL ? 0 : *w_zero;
    mcg_plane_axes_t a;
    mcg_plane_band_t band;
    mcg_panel_output_t how = {scale, clip, g->y_zero, g->out_c, 0, 0, {0, 0}};
    if (g->in_c != g->out_c || g->in_c < MCG_PLANE_CHANNELS || !mcg_plane_straight(g, &a) ||
        !mcg_plane_room(&a, room, scratch, taps * mcg_min(g->out_c, MCG_BLOCK), packed, &band)) {
        return false;
    }
    how.kind =
        mcg_panel_kind(bias, scale, clip, g->y_zero, taps * 255 * (w_zero == NULL ? 127 : 255), g->out_c);
    mcg_plane_no_output(&how);
    for (int32_t row = 0; row < a.g.out_h; row += band.rows) {
        const int32_t rows = mcg_min(band.rows, a.g.out_h - row);
        mcg_plane_places(&a, row, rows, band.at);
        mcg_plane_begin(&a, &band, row * a.g.stride_h - a.g.pad_top);
        for (int32_t next = 0; next < g->out_c; next += MCG_PLANE_CHANNELS) {
            /* Of the last four some may be made twice. */
            const int32_t first = mcg_min(next, g->out_c - MCG_PLANE_CHANNELS);
            const int32_t from = first * taps;
            const int32_t tap[MCG_PLANE_CHANNELS] = {from, from + taps, from + 2 * taps, from + 3 * taps};
            mcg_plane_four(&a, &band, x + first, w, tap, zero, bias + first, rows);
            mcg_plane_output(band.sums, band.at, rows * a.g.out_w, first, &how, y);
        }
    }
    *peak = mcg_plane_peak(&how);
    return true;
}

void mcg_depthwise_conv2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                             const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                             int32_t *peak, int8_t *packed, int32_t room, uint32_t *scratch)
{
    if (!mcg_planes_forward(g, x, w, w_zero, bias, scale, clip, y, peak, packed, room, scratch)) {
        mcg_depthwise_any_s8(g, x, w, w_zero, bias, scale, clip, y, peak, packed);
    }
}
