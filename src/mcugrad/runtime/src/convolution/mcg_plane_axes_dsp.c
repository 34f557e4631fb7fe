/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* What sums of all outputs take, about: a kernel row of three taps, other steps, four outputs, and a row. */
static int32_t mcg_axes_cost(const mcg_plane_axes_t *a)
{
    const mcg_conv2d_t *g = &a->g;
    const int32_t row = a->kind < MCG_PLANE_STEPS   ? 11
                        : a->kind < MCG_PLANE_FIVE  ? 9 * a->steps
                        : a->kind < MCG_PLANE_SEVEN ? 17 + g->stride_w
                                                    : 24;
    return g->out_h * (8 + (g->out_w + 3) / 4 * (9 + g->k_h * row));
}

static void mcg_axes_kind(mcg_plane_axes_t *a)
{
    const mcg_conv2d_t *g = &a->g;
    const int32_t reach = (g->k_w - 1) * g->dilation_w + 1 + (g->pad_left & 1);
    const int32_t most = g->stride_w == 1 ? reach / 2 + 1 : (reach + 1) / 2;
    a->odd = g->pad_left & 1;
    a->kind = g->stride_w == 1 ? MCG_PLANE_THREE : MCG_PLANE_STRIDED;
    a->step = 0;
    a->steps = 1;
    if (g->k_w == 3 && g->k_h == 3 && g->dilation_w == 1) {
        a->kind += 2 * a->odd;
        return;
    }
    a->kind += MCG_PLANE_STEPS;
    a->steps = mcg_min(most, 2 * g->k_w);
    if (g->dilation_w == 1) {
        /* Words beside the map are of no use, whichever output's they are. */
        const int32_t map = (g->pad_left + a->odd) / 2;
        const int32_t last = mcg_min(map + (g->in_w - 1) / 2, most - 1);
        const int32_t first = map - (g->stride_w == 1 ? (g->out_w - 1) / 2 : g->out_w - 1);
        a->step = mcg_clamp(first, 0, most - 1);
        a->steps = mcg_max(last - a->step, 0) + 1;
        if (a->steps >= 3 && g->stride_w <= 2 && g->k_w == 5 + 2 * a->odd) {
            a->kind = (a->odd == 0 ? MCG_PLANE_FIVE : MCG_PLANE_SEVEN) + g->stride_w - 1;
        }
    }
}

/* Taps that some output meets the map with; all, if there is none. */
static void mcg_axes_taps(int32_t in, int32_t out, int32_t stride, int32_t dilation, int32_t next,
                          int32_t *taps, int32_t *pad, int32_t *first)
{
    const int32_t before = mcg_max(*pad - (out - 1) * stride, 0);
    const int32_t from = (before + dilation - 1) / dilation;
    const int32_t to = mcg_min((*pad + in + dilation - 1) / dilation, *taps);
    if (from < to) {
        *first += from * next;
        *taps = to - from;
        *pad -= from * dilation;
    }
}

/* Rows for columns. */
static mcg_plane_axes_t mcg_axes_turned(const mcg_plane_axes_t *a)
{
    const mcg_conv2d_t *g = &a->g;
    const mcg_plane_axes_t turned = {
        {g->in_w, g->in_h, g->in_c, g->out_w, g->out_h, g->out_c, g->k_w, g->k_h, g->stride_w, g->stride_h,
         g->pad_left, g->pad_top, g->dilation_w, g->dilation_h, g->x_zero, g->y_zero},
        a->in_column,
        a->in_row,
        a->out_column,
        a->out_row,
        a->out_first,
        a->tap_column,
        a->tap_row,
        true,
        a->tap_first,
        0,
        0,
        0,
        0};
    return turned;
}

bool mcg_plane_axes(mcg_plane_axes_t *a)
{
    mcg_conv2d_t *const g = &a->g;
    mcg_plane_axes_t other;
    mcg_axes_taps(g->in_h, g->out_h, g->stride_h, g->dilation_h, a->tap_row, &g->k_h, &g->pad_top,
                  &a->tap_first);
    mcg_axes_taps(g->in_w, g->out_w, g->stride_w, g->dilation_w, a->tap_column, &g->k_w, &g->pad_left,
                  &a->tap_first);
    mcg_axes_kind(a);
    other = mcg_axes_turned(a);
    mcg_axes_kind(&other);
    if (a->g.stride_w > 2 || (other.g.stride_w <= 2 && mcg_axes_cost(&other) < mcg_axes_cost(a))) {
        *a = other;
    }
    return a->g.stride_w <= 2;
}
