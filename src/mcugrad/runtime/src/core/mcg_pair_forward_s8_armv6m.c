/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Packs rows of weights; what sums of each begin with, w (x - zero) = w x - zero * (sum of w),
 * and how they are rescaled. */
static void mcg_pair_prepare(const mcg_conv2d_t *g, const mcg_pair_rows_t *w, const int32_t *bias,
                             int32_t first, int32_t rows, const mcg_pair_output_t *how,
                             const mcg_pair_plan_t *plan)
{
    const int32_t steps = w->halves * g->k_h * ((g->k_w * g->in_c + 1) / 2);
    for (int32_t i = 0; i < rows; i++) {
        const int32_t o = first + i;
        const int32_t sum = mcg_pair_rows(w, o, plan->a + i * steps);
        plan->row[i].start = bias[o] - g->x_zero * sum;
        mcg_pair_factor(how->scale[o], mcg_abs(bias[o]) + how->largest, plan->row + i);
    }
}

/* Whether rows of so many words fit, and pairs take less than the portable bodies. */
static bool mcg_pair_pays_forward(const mcg_conv2d_t *g, int32_t lines, int32_t words, int32_t room,
                                  uint32_t *scratch, mcg_pair_plan_t *plan)
{
    const bool flat = mcg_pair_flat(g);
    const int32_t pixels = g->out_h * g->out_w;
    const int32_t runs = mcg_pair_runs(lines, g->k_w, g->in_c, g->dilation_w);
    const int32_t window = flat ? 0 : 30 * words + 100 * lines; /* is copied */
    return !mcg_pair_small(pixels, g->out_c * words) &&
           mcg_pair_plan(words, g->out_c, 1, room, scratch, plan) &&
           mcg_pair_less(mcg_pair_cost(plan, g->out_c, lines, runs, words, (pixels + 3) / 4) + 500,
                         (uint32_t)pixels * (uint32_t)(g->out_c * (12 * words + 100) + window));
}

bool mcg_pair_forward_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                         const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                         int32_t *peak, int32_t room, uint32_t *scratch)
{
    const int32_t run = g->k_w * g->in_c;
    const int32_t pixels = g->out_h * g->out_w;
    const int32_t halves = w_zero == NULL ? 1 : 2;
    const int32_t lines = halves * g->k_h;
    mcg_pair_plan_t plan;
    if (!mcg_pair_pays_forward(g, lines, lines * ((run + 1) / 2), room, scratch, &plan)) {
        return false;
    }
    const int32_t taps = g->k_h * run;
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
    const mcg_pair_rows_t weights = {{w, NULL, run, 1, 1, run, 0, 1, 0, 0}, taps, g->k_h, run, halves};
    const mcg_map_t map = {x, g->in_h, g->in_w, g->in_c, g->in_c, g->x_zero};
    mcg_pair_output_t how = {scale, clip, g->y_zero, g->out_c, 0, taps * 255 * (w_zero == NULL ? 127 : 255)};
    for (int32_t first = 0; first < g->out_c; first += plan.rows) {
        const int32_t rows = mcg_min(plan.rows, g->out_c - first);
        int32_t row = 0;
        int32_t column = 0;
        mcg_pair_prepare(g, &weights, bias, first, rows, &how, &plan);
        for (int32_t p = 0; p < pixels; p += 4) {
            const int32_t here = mcg_min(pixels - p, 4);
            mcg_four_t at;
            int32_t less[4];
            for (int32_t i = 0; i < 4; i++) { /* beyond the last window that one again */
                at.top[i] = row * g->stride_h - g->pad_top;
                at.left[i] = column * g->stride_w - g->pad_left;
                less[i] = w_zero == NULL ? 0 : *w_zero * mcg_window_sum_s8(g, &map, row, column);
                if (p + i + 1 < pixels && ++column == g->out_w) {
                    column = 0;
                    row++;
                }
            }
            mcg_pair_sums(&m, &at, &weights, rows, &plan);
            for (int32_t i = 0; w_zero != NULL && i < 4 * rows; i++) {
                plan.sums[i] -= less[i % 4];
            }
            mcg_pair_output(plan.sums, plan.row, first, rows, here, &how, y + p * g->out_c + first);
        }
    }
    *peak = how.highest;
    return true;
}
