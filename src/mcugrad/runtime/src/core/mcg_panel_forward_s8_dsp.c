/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Where the next four windows begin, those beyond the last one as it; y and x are of the first. */
static void mcg_forward_four(const mcg_conv2d_t *g, int32_t y, int32_t x, int32_t pixels, mcg_four_t *at)
{
    const bool level = x + 4 <= g->out_w;
    int32_t top = y * g->stride_h - g->pad_top;
    int32_t left = x * g->stride_w - g->pad_left;
    for (int32_t i = 0; i < 4; i++) {
        at->top[i] = top;
        at->left[i] = left;
        left += g->stride_w;
        if (!level) {
            x++;
            if (i + 1 >= pixels) {
                left = at->left[i];
            } else if (x == g->out_w) {
                x = 0;
                left = -g->pad_left;
                top += g->stride_h;
            }
        }
    }
}

/* All output channels, with panels where a plan has them. Apart, as what takes its place where there is no
 * room. */
MCG_APART static void mcg_forward_whole(const mcg_conv2d_t *g, const mcg_windows_t *m,
                                        const mcg_forward_plan_t *plan, const int8_t *w, int32_t w_zero,
                                        const int32_t *bias, mcg_panel_output_t *how, int8_t *y)
{
    const int32_t run = m->k_w * m->channels;
    const int32_t taps = m->k_h * run;
    const mcg_part_t all = {0, m->k_h, 0, mcg_up4(run) / 4};
    const int32_t steps = mcg_panel_steps(all.rows * all.words);
    const int32_t pixels = g->out_h * g->out_w;
    int32_t *const sums = plan->sums;
    for (int32_t first = 0; first < g->out_c; first += plan->rows) {
        const int32_t rows = mcg_min(plan->rows, g->out_c - first);
        int32_t row = 0;
        int32_t column = 0;
        mcg_panel_rows(w + first * taps, taps, rows, run, w_zero, &all, plan->a);
        mcg_forward_start(bias + first, rows, plan->start);
        mcg_panel_fold(plan->a, rows, steps, m->zero, w_zero, plan->start);
        for (int32_t p = 0; p < pixels; p += 4) {
            const int32_t here = mcg_min(pixels - p, 4);
            int8_t *to = y + p * how->pitch + first;
            mcg_four_t at;
            mcg_forward_four(g, row, column, here, &at);
            for (column += 4; column >= g->out_w; column -= g->out_w) {
                row++;
            }
            mcg_panel_windows(m, &at, &all, plan->b);
            for (int32_t o = 0; o < rows; o += 2 * MCG_PANEL_PAIRS) {
                const int32_t count = mcg_min(rows - o, 2 * MCG_PANEL_PAIRS);
                const mcg_products_run_t products = {plan->b + 4 * steps, plan->start + 4 * o, sums,
                                                     sums + (count + 1) / 2 * 8, steps};
                mcg_panel_products(plan->a + o * steps, plan->b, &products);
                mcg_panel_lower(plan->b, steps, w_zero, count, sums);
                mcg_panel_output(sums, first + o, count, here, how, to + o);
            }
        }
    }
}

/* Sums of a few rows part by part; panels behind them. Weights that are one part are there already, unless
 * these are the first pixels. */
static void mcg_forward_parts(const mcg_windows_t *m, const mcg_four_t *at, const int8_t *w, int32_t rows,
                              int32_t w_zero, bool there, int32_t *sums)
{
    const int32_t run = m->k_w * m->channels;
    uint32_t *const b = (uint32_t *)sums + 4 * MCG_PANEL_ROWS;
    uint32_t *const a = b + 2 * MCG_PANEL_PART;
    const bool one = m->k_h == 1 && run <= MCG_PANEL_PART;
    for (int32_t ky = 0; ky < m->k_h; ky++) {
        for (int32_t from = 0; from < run; from += MCG_PANEL_PART) {
            const mcg_part_t part = {ky, 1, from, (mcg_min(run - from, MCG_PANEL_PART) + 3) / 4};
            const int32_t steps = mcg_panel_steps(part.words);
            const mcg_products_run_t products = {b + 4 * steps, sums, sums, sums + (rows + 1) / 2 * 8, steps};
            if (!one || !there) {
                mcg_panel_rows(w, m->k_h * run, rows, run, w_zero, &part, a);
            }
            mcg_panel_fold(a, rows, steps, m->zero, w_zero, sums);
            mcg_panel_windows(m, at, &part, b);
            mcg_panel_products(a, b, &products);
            mcg_panel_lower(b, steps, w_zero, rows, sums);
        }
    }
}

/* The same as mcg_forward_whole where there is no room for whole panels. */
MCG_APART static void mcg_forward_few(const mcg_conv2d_t *g, const mcg_windows_t *m, const int8_t *w,
                                      int32_t w_zero, const int32_t *bias, mcg_panel_output_t *how, int8_t *y)
{
    uint32_t few[MCG_PANEL_FEW];
    int32_t *const sums = (int32_t *)few;
    const int32_t taps = m->k_h * m->k_w * m->channels;
    const int32_t pixels = g->out_h * g->out_w;
    for (int32_t first = 0; first < g->out_c; first += MCG_PANEL_ROWS) {
        const int32_t rows = mcg_min(MCG_PANEL_ROWS, g->out_c - first);
        int32_t row = 0;
        int32_t column = 0;
        for (int32_t p = 0; p < pixels; p += 4) {
            const int32_t here = mcg_min(pixels - p, 4);
            mcg_four_t at;
            mcg_forward_four(g, row, column, here, &at);
            for (column += 4; column >= g->out_w; column -= g->out_w) {
                row++;
            }
            mcg_forward_start(bias + first, rows, sums);
            mcg_forward_parts(m, &at, w + first * taps, rows, w_zero, p != 0, sums);
            mcg_panel_output(sums, first, rows, here, how, y + p * how->pitch + first);
        }
    }
}

void mcg_panel_forward_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                          const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                          int32_t *peak, int32_t room, uint32_t *scratch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const int32_t zero = w_zero == NULL ? 0 : *w_zero;
    const int32_t k = mcg_max(g->k_h * mcg_up4(g->k_w * g->in_c), MCG_PANEL_LEAST);
    const int32_t rows = mcg_min(mcg_forward_fits(room / 4, k), mcg_up4(g->out_c));
    const mcg_windows_t m = {x,
                             g->in_h * g->in_w * g->in_c,
                             g->in_h,
                             g->in_w,
                             g->in_c,
                             g->in_c,
                             g->k_h,
                             g->k_w,
                             g->dilation_h,
                             g->dilation_w,
                             g->x_zero};
    mcg_panel_output_t how = {scale, clip, g->y_zero, g->out_c, 0, 0, {0, 0}};
    how.kind =
        mcg_panel_kind(bias, scale, clip, g->y_zero, taps * 255 * (w_zero == NULL ? 127 : 255), g->out_c);
    if (rows < 4) {
        mcg_forward_few(g, &m, w, zero, bias, &how, y);
    } else {
        const mcg_forward_plan_t plan = mcg_forward_plan(scratch, rows, k);
        mcg_forward_whole(g, &m, &plan, w, zero, bias, &how, y);
    }
    *peak = mcg_panel_peak(&how);
}
