/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Terms of a kernel row of four windows as columns. */
static void mcg_pair_windows(const mcg_windows_t *m, const mcg_four_t *at, int32_t ky, int32_t from,
                             int32_t count, uint32_t *to)
{
    mcg_pair_line_t line = {NULL, NULL, m->channels, 1, m->k_w, m->step_w * m->pitch, 0, 0, m->zero, 0};
    for (int32_t i = 0; i < 4; i++) {
        const int32_t y = at->top[i] + ky * m->step_h;
        const int32_t left = at->left[i];
        const int32_t last = m->width - 1 - left;
        line.at = m->map + (y * m->width + left) * m->pitch;
        line.low = 0;
        line.high = y >= 0 && y < m->height ? m->k_w : 0;
        while (line.low < line.high && left + line.low * m->step_w < 0) {
            line.low++;
        }
        while (line.high > line.low && (line.high - 1) * m->step_w > last) {
            line.high--;
        }
        mcg_pair_line(&line, from, count, 4, to + i);
    }
}

/* Sums part by part, where there is no room for whole panels; each row is packed as it is needed. */
static void mcg_pair_parts(const mcg_windows_t *m, const mcg_four_t *at, const mcg_pair_rows_t *w,
                           int32_t first, int32_t rows, const mcg_pair_plan_t *plan)
{
    const int32_t terms = w->line.terms * w->line.taps;
    for (int32_t i = 0; i < 4 * rows; i++) {
        plan->sums[i] = plan->row[i / 4].start;
    }
    for (int32_t ky = 0; ky < w->lines; ky++) {
        for (int32_t from = 0; from < terms; from += 2 * MCG_PAIR_PART) {
            const int32_t count = mcg_min(terms - from, 2 * MCG_PAIR_PART);
            mcg_pair_windows(m, at, ky, from, count, plan->b);
            for (int32_t r = 0; r < rows * w->halves; r++) {
                const int32_t row = w->halves == 1 ? r : r / 2;
                int32_t *const sums = plan->sums + 4 * row;
                int32_t more[4];
                const mcg_pair_row_t none = {0, 0, 0, 0};
                const mcg_pair_run_t run = {&none, more, more + 4, (count + 1) / 2};
                mcg_pair_line_t line = w->line;
                line.at += (first + row) * w->row + ky * w->next;
                line.half = w->halves == 1 ? 0 : 1 + r % 2;
                mcg_pair_line(&line, from, count, 1, plan->a);
                mcg_pair_products(plan->a, plan->b, &run);
                for (int32_t i = 0; i < 4; i++) {
                    sums[i] += more[i];
                }
            }
        }
    }
}

void mcg_pair_sums(const mcg_windows_t *m, const mcg_four_t *at, const mcg_pair_rows_t *w, int32_t first,
                   int32_t rows, const mcg_pair_plan_t *plan)
{
    const int32_t terms = w->line.terms * w->line.taps;
    const int32_t steps = w->lines * ((terms + 1) / 2);
    const mcg_pair_run_t run = {plan->row, plan->sums, plan->sums + 4 * rows, w->halves * steps};
    if (!plan->whole) {
        mcg_pair_parts(m, at, w, first, rows, plan);
        return;
    }
    for (int32_t ky = 0; ky < w->halves * w->lines; ky++) {
        mcg_pair_windows(m, at, ky < w->lines ? ky : ky - w->lines, 0, terms,
                         plan->b + ky * ((terms + 1) / 2) * 4);
    }
    mcg_pair_products(plan->a, plan->b, &run);
}
