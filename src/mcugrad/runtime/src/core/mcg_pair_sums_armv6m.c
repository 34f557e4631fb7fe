/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Terms of a kernel row of four windows as columns. */
static void mcg_pair_windows(const mcg_windows_t *m, const mcg_four_t *at, int32_t ky, uint32_t *to)
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
        mcg_pair_line(&line, 4, to + i);
    }
}

void mcg_pair_sums(const mcg_windows_t *m, const mcg_four_t *at, const mcg_pair_rows_t *w, int32_t rows,
                   const mcg_pair_plan_t *plan)
{
    const int32_t terms = w->line.terms * w->line.taps;
    const int32_t steps = w->lines * ((terms + 1) / 2);
    const mcg_pair_run_t run = {plan->row, plan->sums, plan->sums + 4 * rows, w->halves * steps};
    for (int32_t ky = 0; ky < w->halves * w->lines; ky++) {
        mcg_pair_windows(m, at, ky < w->lines ? ky : ky - w->lines, plan->b + ky * ((terms + 1) / 2) * 4);
    }
    mcg_pair_products(plan->a, plan->b, &run);
}
