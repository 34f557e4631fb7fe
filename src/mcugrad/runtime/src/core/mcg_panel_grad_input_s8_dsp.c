/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Where panels lie, and how much of them at a time. */
typedef struct {
    int32_t *sums, *start, *factor;
    uint32_t *b, *a;
    int32_t rows;
} mcg_grad_plan_t;

/* Rows of panels that there is room for. */
static int32_t mcg_grad_fits(int32_t k, int32_t room) { return (room / 4 - 2 * k) / (k / 2 + 9) & ~3; }

static mcg_grad_plan_t mcg_grad_plan(int32_t k, int32_t channels, int32_t room, uint32_t *scratch)
{
    mcg_grad_plan_t plan;
    k = mcg_max(k, MCG_PANEL_LEAST);
    plan.rows = mcg_min(mcg_grad_fits(k, room), mcg_up4(channels));
    plan.sums = (int32_t *)scratch;
    plan.factor = plan.sums + 4 * plan.rows;
    plan.start = plan.factor + plan.rows;
    plan.b = (uint32_t *)plan.start + 4 * plan.rows;
    plan.a = plan.b + 2 * k;
    return plan;
}

static void mcg_grad_clear(int32_t *values, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        values[i] = 0;
    }
}

/* Input pixels of one kind: windows over errors, weights that they are multiplied with, and where the first
 * pixel and its window are; how far it is to the next row of pixels, and to the next in a row. */
typedef struct {
    mcg_windows_t m;
    mcg_turned_t t;
    int32_t height, width;
    int32_t top, left;
    int32_t at, row, column;
} mcg_grad_kind_t;

/* Where four pixels are, from one on that is at row y and column x, which go on behind them. */
static void mcg_grad_four(const mcg_grad_kind_t *kind, int32_t pixels, int32_t *y, int32_t *x,
                          mcg_four_t *four, int32_t *at)
{
    const bool level = *x + 4 <= kind->width;
    int32_t top = kind->top + *y;
    int32_t left = kind->left + *x;
    int32_t place = kind->at + *y * kind->row + *x * kind->column;
    for (int32_t i = 0; i < 4; i++) {
        four->top[i] = top;
        four->left[i] = left;
        at[i] = place;
        if (level || i + 1 < pixels) {
            ++*x;
            left++;
            place += kind->column;
        }
        if (!level && *x == kind->width) {
            *x = 0;
            ++*y;
            top++;
            left = kind->left;
            place += kind->row - kind->width * kind->column;
        }
    }
    if (*x == kind->width) {
        *x = 0;
        ++*y;
    }
}

/* Whether every pixel is a window. */
static bool mcg_grad_flat(const mcg_conv2d_t *g)
{
    return g->k_h * g->k_w == 1 && g->stride_h == 1 && g->stride_w == 1 && g->in_h == g->out_h &&
           g->in_w == g->out_w;
}

/* Errors of some channels of all input pixels of one kind. Apart: how kinds are found is not kept in
 * registers. */
MCG_APART static void mcg_grad_pixels(const mcg_grad_kind_t *kind, const mcg_grad_plan_t *plan, int32_t first,
                                      int32_t rows, bool fits, mcg_panel_error_t *how)
{
    const mcg_windows_t *const m = &kind->m;
    const int32_t pixels = kind->height * kind->width;
    const mcg_part_t all = {0, m->k_h, 0, mcg_up4(m->k_w * m->channels) / 4};
    const int32_t steps = mcg_panel_steps(all.rows * all.words);
    int32_t y = 0;
    int32_t x = 0;
    for (int32_t p = 0; p < pixels; p += 4) {
        mcg_four_t four;
        int32_t at[4];
        mcg_grad_four(kind, pixels - p, &y, &x, &four, at);
        mcg_panel_windows(m, &four, &all, plan->b);
        for (int32_t o = 0; o < rows; o += 2 * MCG_PANEL_PAIRS) {
            const int32_t count = mcg_min(rows - o, 2 * MCG_PANEL_PAIRS);
            const mcg_products_run_t run = {plan->b + 4 * steps, plan->start, plan->sums,
                                            plan->sums + (count + 1) / 2 * 8, steps};
            mcg_panel_products(plan->a + o * steps, plan->b, &run);
            mcg_panel_lower(plan->b, steps, kind->t.zero, count, plan->sums);
            mcg_panel_errors(plan->sums, fits ? plan->factor + o : NULL, first + o, count,
                             mcg_min(pixels - p, 4), at, how);
        }
    }
}

MCG_APART static void mcg_grad_of_kind(const mcg_grad_kind_t *kind, int32_t channels,
                                       const mcg_grad_plan_t *plan, mcg_panel_error_t *how)
{
    const mcg_windows_t *const m = &kind->m;
    const mcg_part_t all = {0, m->k_h, 0, mcg_up4(m->k_w * m->channels) / 4};
    const float largest =
        (float)(m->k_h * m->k_w * m->channels) * 127.0F * (kind->t.zero == 0 ? 128.0F : 255.0F);
    how->pre = mcg_panel_pre(largest);
    for (int32_t first = 0; first < channels; first += plan->rows) {
        const int32_t rows = mcg_min(plan->rows, channels - first);
        const bool fits = mcg_panel_factors(how->scale + first, rows, largest, plan->factor);
        mcg_panel_turned(&kind->t, first, rows, &all, plan->a);
        mcg_grad_clear(plan->start, 4 * mcg_up4(rows));
        mcg_grad_pixels(kind, plan, first, rows, fits, how);
    }
}

/* What there is of a kind of pixels, by its place between strides; no error where no tap reaches them. Terms
 * of a sum, or 0 for none. Apart, so that its axes are gone from the stack after it. */
MCG_APART static int32_t mcg_grad_begin(const mcg_conv2d_t *g, int32_t fy, int32_t fx, int8_t *e_x,
                                        mcg_grad_kind_t *kind)
{
    const int32_t channels = kind->m.channels;
    mcg_panel_axis_t v;
    mcg_panel_axis_t u;
    mcg_panel_axis(fy, g->in_h, g->k_h, g->stride_h, g->pad_top, g->dilation_h, &v);
    mcg_panel_axis(fx, g->in_w, g->k_w, g->stride_w, g->pad_left, g->dilation_w, &u);
    if (v.taps * u.taps * channels == 0) {
        mcg_panel_nothing(g, &v, &u, e_x);
        return 0;
    }
    kind->m.k_h = v.taps;
    kind->m.k_w = u.taps;
    kind->m.step_h = v.apart;
    kind->m.step_w = u.apart;
    kind->t.w =
        ((v.tap + (v.taps - 1) * v.step) * g->k_w + u.tap + (u.taps - 1) * u.step) * g->in_c + kind->t.w;
    kind->t.rows = v.taps;
    kind->t.columns = u.taps;
    kind->t.row_step = -v.step * g->k_w * g->in_c;
    kind->t.column_step = -u.step * g->in_c;
    kind->height = v.count;
    kind->width = u.count;
    if (mcg_grad_flat(g)) { /* a line */
        kind->m.height = kind->height = 1;
        kind->m.width = kind->width = v.count * u.count;
    }
    kind->top = v.at - (v.taps - 1) * v.apart;
    kind->left = u.at - (u.taps - 1) * u.apart;
    kind->at = (v.first * g->in_w + u.first) * g->in_c;
    kind->row = g->stride_h * g->in_w * g->in_c;
    kind->column = g->stride_w * g->in_c;
    return v.taps * mcg_up4(u.taps * channels);
}

/* The largest sum of any kind of pixels. Apart, so that its axes are gone from the stack after it. */
MCG_APART static int32_t mcg_grad_terms(const mcg_conv2d_t *g, int32_t channels)
{
    int32_t rows = 0;
    int32_t columns = 0;
    for (int32_t fy = 0; fy < g->stride_h; fy++) {
        mcg_panel_axis_t v;
        mcg_panel_axis(fy, g->in_h, g->k_h, g->stride_h, g->pad_top, g->dilation_h, &v);
        rows = mcg_max(rows, v.taps);
    }
    for (int32_t fx = 0; fx < g->stride_w; fx++) {
        mcg_panel_axis_t u;
        mcg_panel_axis(fx, g->in_w, g->k_w, g->stride_w, g->pad_left, g->dilation_w, &u);
        columns = mcg_max(columns, u.taps);
    }
    return rows * mcg_up4(columns * channels);
}

MCG_APART
bool mcg_panel_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                             const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                             const int32_t *clip, int8_t *e_x, int32_t *peak, int32_t room, uint32_t *scratch)
{
    const int32_t channels = mcg_active_count(active, g->out_c);
    mcg_panel_error_t how = {scale, clip, x, e_x, g->x_zero, 0, 0, 0, 0, {0, 0}, -1, false};
    if (mcg_grad_fits(mcg_max(mcg_grad_terms(g, channels), MCG_PANEL_LEAST), room) < 4) {
        return false;
    }
    mcg_panel_error_bounds(&how);
    for (int32_t fy = 0; fy < g->stride_h; fy++) {
        for (int32_t fx = 0; fx < g->stride_w; fx++) {
            mcg_grad_kind_t kind = {
                {e, g->out_h * g->out_w * channels, g->out_h, g->out_w, channels, channels, 0, 0, 0, 0, 0},
                {w, active, channels, g->k_h * g->k_w * g->in_c, 0, 0, 0, 0, w_zero == NULL ? 0 : *w_zero},
                0,
                0,
                0,
                0,
                0,
                0,
                0};
            const int32_t k = mcg_grad_begin(g, fy, fx, e_x, &kind);
            if (k != 0) {
                const mcg_grad_plan_t plan = mcg_grad_plan(k, g->in_c, room, scratch);
                mcg_grad_of_kind(&kind, g->in_c, &plan, &how);
            }
        }
    }
    *peak = mcg_panel_error_peak(&how);
    return true;
}
