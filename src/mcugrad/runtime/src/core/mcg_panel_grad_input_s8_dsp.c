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

/* Whether every pixel is a window. */
static bool mcg_grad_flat(const mcg_conv2d_t *g)
{
    return g->k_h * g->k_w == 1 && g->stride_h == 1 && g->stride_w == 1 && g->in_h == g->out_h &&
           g->in_w == g->out_w;
}

/* The next four pixels of a kind, of which row and column of the first are known: where their windows begin,
 * and where they are; those beyond the last one as it. */
static void mcg_grad_four(const mcg_conv2d_t *g, const mcg_panel_axis_t *v, const mcg_panel_axis_t *u,
                          int32_t y, int32_t x, int32_t pixels, mcg_four_t *four, int32_t *at)
{
    const bool level = x + 4 <= u->count;
    const int32_t first = u->at - (u->taps - 1) * u->apart;
    const int32_t step = g->stride_w * g->in_c;
    int32_t top = v->at + y - (v->taps - 1) * v->apart;
    int32_t place = ((v->first + y * g->stride_h) * g->in_w + u->first) * g->in_c + x * step;
    for (int32_t i = 0; i < 4; i++) {
        four->top[i] = top;
        four->left[i] = first + x;
        at[i] = place;
        if (level || i + 1 < pixels) {
            x++;
            place += step;
        }
        if (!level && x == u->count) {
            x = 0;
            top++;
            place += g->stride_h * g->in_w * g->in_c - u->count * step;
        }
    }
}

/* Errors of all input pixels of one kind. */
static void mcg_grad_kind(const mcg_conv2d_t *g, const mcg_panel_axis_t *v, const mcg_panel_axis_t *u,
                          const mcg_windows_t *m, const mcg_turned_t *t, const mcg_grad_plan_t *plan,
                          mcg_panel_error_t *how)
{
    const int32_t pixels = v->count * u->count;
    const mcg_part_t all = {0, m->k_h, 0, mcg_up4(m->k_w * m->channels) / 4};
    const int32_t steps = mcg_panel_steps(all.rows * all.words);
    const float largest = (float)(m->k_h * m->k_w * m->channels) * 127.0F * (t->zero == 0 ? 128.0F : 255.0F);
    for (int32_t first = 0; first < g->in_c; first += plan->rows) {
        const int32_t rows = mcg_min(plan->rows, g->in_c - first);
        const bool fits = mcg_panel_factors(how->scale + first, rows, largest, plan->factor);
        how->pre = mcg_panel_pre(largest);
        int32_t y = 0;
        int32_t x = 0;
        mcg_panel_turned(t, first, rows, &all, plan->a);
        mcg_grad_clear(plan->start, 4 * mcg_up4(rows));
        for (int32_t p = 0; p < pixels; p += 4) {
            const int32_t here = mcg_min(pixels - p, 4);
            mcg_four_t four;
            int32_t at[4];
            mcg_grad_four(g, v, u, y, x, here, &four, at);
            for (x += 4; x >= u->count; x -= u->count) {
                y++;
            }
            mcg_panel_windows(m, &four, &all, plan->b);
            for (int32_t o = 0; o < rows; o += 2 * MCG_PANEL_PAIRS) {
                const int32_t count = mcg_min(rows - o, 2 * MCG_PANEL_PAIRS);
                const mcg_products_run_t run = {plan->b + 4 * steps, plan->start, plan->sums,
                                                plan->sums + (count + 1) / 2 * 8, steps};
                mcg_panel_products(plan->a + o * steps, plan->b, &run);
                mcg_panel_lower(plan->b, steps, t->zero, count, plan->sums);
                mcg_panel_errors(plan->sums, fits ? plan->factor + o : NULL, first + o, count, here, at, how);
            }
        }
    }
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
        mcg_panel_axis_t v;
        mcg_panel_axis(fy, g->in_h, g->k_h, g->stride_h, g->pad_top, g->dilation_h, &v);
        for (int32_t fx = 0; fx < g->stride_w; fx++) {
            mcg_panel_axis_t u;
            mcg_panel_axis(fx, g->in_w, g->k_w, g->stride_w, g->pad_left, g->dilation_w, &u);
            const int32_t k = v.taps * mcg_up4(u.taps * channels);
            int32_t width = g->out_w;
            if (mcg_grad_flat(g)) { /* a line */
                width *= g->out_h;
                u.count *= v.count;
                v.count = 1;
            }
            if (k == 0) {
                mcg_panel_nothing(g, &v, &u, e_x);
            } else {
                const mcg_grad_plan_t plan = mcg_grad_plan(k, g->in_c, room, scratch);
                const mcg_windows_t m = {e,
                                         g->out_h * g->out_w * channels,
                                         g->out_h * g->out_w / width,
                                         width,
                                         channels,
                                         channels,
                                         v.taps,
                                         u.taps,
                                         v.apart,
                                         u.apart,
                                         0};
                const mcg_turned_t t = {
                    w + ((v.tap + (v.taps - 1) * v.step) * g->k_w + u.tap + (u.taps - 1) * u.step) * g->in_c,
                    active,
                    channels,
                    g->k_h * g->k_w * g->in_c,
                    v.taps,
                    u.taps,
                    -v.step * g->k_w * g->in_c,
                    -u.step * g->in_c,
                    w_zero == NULL ? 0 : *w_zero};
                mcg_grad_kind(g, &v, &u, &m, &t, &plan, &how);
            }
        }
    }
    *peak = mcg_panel_error_peak(&how);
    return true;
}
