/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* A kind of input pixels, by its place between strides: a convolution of errors with the taps that reach
 * them, in reverse; the first of these. */
typedef struct {
    mcg_plane_axes_t a;
    const int8_t *w;
    bool some; /* whether any tap reaches any; else there is no error */
} mcg_planes_kind_t;

/* False where no planes serve it. Apart, so that what it is chosen from is gone from the stack after it. */
MCG_APART static bool mcg_planes_of_kind(const mcg_conv2d_t *g, int32_t fy, int32_t fx, int32_t channels,
                                         const int8_t *w, int8_t *e_x, mcg_planes_kind_t *kind)
{
    mcg_panel_axis_t v;
    mcg_panel_axis_t u;
    mcg_panel_axis(fy, g->in_h, g->k_h, g->stride_h, g->pad_top, g->dilation_h, &v);
    mcg_panel_axis(fx, g->in_w, g->k_w, g->stride_w, g->pad_left, g->dilation_w, &u);
    kind->w = w + (v.tap + (v.taps - 1) * v.step) * g->k_w + u.tap + (u.taps - 1) * u.step;
    kind->some = v.taps * u.taps * v.count * u.count != 0;
    if (!kind->some) {
        mcg_panel_nothing(g, &v, &u, e_x);
        return true;
    }
    {
        const mcg_plane_axes_t straight = {
            {g->out_h, g->out_w, channels, v.count, u.count, g->in_c, v.taps, u.taps, 1, 1,
             (v.taps - 1) * v.apart - v.at, (u.taps - 1) * u.apart - u.at, v.apart, u.apart, 0, 0},
            g->out_w * channels,
            channels,
            g->stride_h * g->in_w * g->in_c,
            g->stride_w * g->in_c,
            (v.first * g->in_w + u.first) * g->in_c,
            -v.step * g->k_w,
            -u.step,
            false,
            0,
            0,
            0,
            0,
            0};
        kind->a = straight;
    }
    return mcg_plane_axes(&kind->a);
}

/* All channels that take part, of a band of rows. */
static void mcg_planes_of_band(const mcg_plane_axes_t *a, mcg_plane_band_t *band, const int8_t *e,
                               const uint16_t *active, const int8_t *w, int32_t taps, int32_t zero,
                               int32_t row, mcg_panel_error_t *how)
{
    const int32_t rows = mcg_min(band->rows, a->g.out_h - row);
    const int32_t count = rows * a->g.out_w;
    const float largest = (float)(a->g.k_h * a->g.k_w) * 127.0F * (zero == 0 ? 128.0F : 255.0F);
    how->pre = mcg_panel_pre(largest);
    for (int32_t next = 0; next < a->g.in_c; next += MCG_PLANE_CHANNELS) {
        /* Of the last four some may be made twice. */
        const int32_t first = mcg_min(next, a->g.in_c - MCG_PLANE_CHANNELS);
        const uint16_t *const list = active == NULL ? NULL : active + 1 + first;
        int32_t tap[MCG_PLANE_CHANNELS];
        int32_t factor[MCG_PLANE_CHANNELS];
        for (int32_t i = 0; i < MCG_PLANE_CHANNELS; i++) {
            tap[i] = taps * mcg_active_at(active, first + i);
        }
        mcg_plane_four(a, band, e + first, w, tap, zero, NULL, rows);
        if (list != NULL && list[3] - list[0] != 3) {
            const int32_t done = next - first;
            mcg_plane_scatter(band->sums + done, band->at, count, largest, list + done,
                              MCG_PLANE_CHANNELS - done, how);
        } else {
            const int32_t channel = mcg_active_at(active, first);
            const bool fits = mcg_panel_factors(how->scale + channel, MCG_PLANE_CHANNELS, largest, factor);
            mcg_plane_errors(band->sums, band->at, count, fits ? factor : NULL, channel, how);
        }
    }
}

/* No error, but where a channel takes part. */
static void mcg_planes_none(int8_t *e, int32_t count)
{
    int8_t *const end = e + count;
    for (int8_t *const whole = e + (count & ~15); e != whole; e += 16) {
        mcg_store32(e, 0);
        mcg_store32(e + 4, 0);
        mcg_store32(e + 8, 0);
        mcg_store32(e + 12, 0);
    }
    while (e != end) {
        *e++ = 0;
    }
}

/* By planes; false where there is no room for them. Apart: what is on the stack then must not be there beside
 * what portable loops have. */
MCG_APART static bool mcg_planes_grad_input(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                            const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                            const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                                            int32_t *peak, int8_t *packed, int32_t room, uint32_t *scratch)
{
    const int32_t taps = g->k_h * g->k_w;
    const int32_t own = taps * mcg_min(g->in_c, MCG_BLOCK);
    const int32_t channels = mcg_active_count(active, g->out_c);
    bool served = g->in_c == g->out_c && channels >= MCG_PLANE_CHANNELS;
    mcg_panel_error_t how = {scale, clip, x, e_x, g->x_zero, 0, 0, 0, 0, {0, 0}, -1, false};
    mcg_panel_error_bounds(&how);
    if (active != NULL && served) {
        mcg_planes_none(e_x, g->in_h * g->in_w * g->in_c);
    }
    for (int32_t fy = 0; fy < g->stride_h && served; fy++) {
        for (int32_t fx = 0; fx < g->stride_w && served; fx++) {
            mcg_planes_kind_t kind;
            mcg_plane_band_t band;
            const mcg_plane_axes_t *const a = &kind.a;
            served = mcg_planes_of_kind(g, fy, fx, channels, w, e_x, &kind);
            if (!kind.some) {
                continue;
            }
            served = mcg_plane_room(a, room, scratch, own, packed, &band) && served;
            for (int32_t row = 0; served && row < a->g.out_h; row += band.rows) {
                mcg_plane_places(a, row, mcg_min(band.rows, a->g.out_h - row), band.at);
                mcg_plane_begin(a, &band, row * a->g.stride_h - a->g.pad_top);
                mcg_planes_of_band(a, &band, e, active, kind.w, taps, w_zero == NULL ? 0 : *w_zero, row,
                                   &how);
            }
        }
    }
    if (served) {
        *peak = mcg_panel_error_peak(&how);
    }
    return served;
}

void mcg_depthwise_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                        const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                        const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                                        int32_t *peak, int8_t *packed, int32_t room, uint32_t *scratch)
{
    if (!mcg_planes_grad_input(g, e, active, w, w_zero, x, scale, clip, e_x, peak, packed, room, scratch)) {
        mcg_depthwise_any_grad_input_s8(g, e, active, w, w_zero, x, scale, clip, e_x, peak, packed);
    }
}
