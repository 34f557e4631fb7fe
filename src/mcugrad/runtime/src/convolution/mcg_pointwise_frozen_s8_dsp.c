/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* A panel of four pixels. */
static void mcg_frozen_pixels(const mcg_conv2d_t *g, const int8_t *x, const mcg_copy_t *copy, uint32_t *panel)
{
    if (copy->bytes == g->in_c) {
        const mcg_pieces_t from = {{x, x + g->in_c, x + 2 * g->in_c, x + 3 * g->in_c}};
        mcg_panel_pieces(panel, &from, copy);
        return;
    }
    for (int32_t i = 0; i < 4; i++) { /* what is behind a pixel is not to be read */
        for (int32_t k = 0; k < copy->bytes; k += 4) {
            uint32_t word = 0;
            for (int32_t byte = 0; byte < 4 && k + byte < g->in_c; byte++) {
                word |= (uint32_t)(uint8_t)x[k + byte] << (8 * byte);
            }
            mcg_panel_word(word, copy->less, panel + 2 * k + i);
        }
        x += g->in_c;
    }
}

/* Some rows of weights, in panels, over all pixels; where the last four would end behind the map, they begin
 * before. */
static void mcg_frozen_rows(const mcg_conv2d_t *g, const int8_t *x, const mcg_forward_plan_t *plan,
                            const mcg_copy_t *copy, int32_t rows, mcg_direct_run_t *run,
                            mcg_panel_output_t *how, int8_t *y)
{
    const int32_t pixels = g->out_h * g->out_w;
    const int32_t pairs = rows & ~1;
    run->start = plan->start;
    run->last = run->mult + pairs;
    for (int32_t next = 0; next < pixels; next += 4) {
        const int32_t p = mcg_min(next, pixels - 4);
        mcg_frozen_pixels(g, x + p * g->in_c, copy, plan->b);
        run->y = y + p * g->out_c;
        if (pairs != 0) {
            mcg_panel_direct(plan->a, run);
        }
        if (pairs != rows) {
            const mcg_products_run_t one = {run->end, plan->start + 4 * pairs, plan->sums, plan->sums + 8,
                                            run->steps};
            mcg_panel_products(plan->a + pairs * run->steps, plan->b, &one);
            (void)mcg_panel_output_each(plan->sums, 0, 1, 4, how, run->y + pairs);
        }
    }
}

/* So many rows at a time as there is room for. Apart: what is on the stack then must not be there where
 * panels have none. */
MCG_APART static void mcg_frozen_panels(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, int32_t zero,
                                        const int32_t *bias, const float *scale, const int32_t *mult,
                                        const int32_t *clip, int8_t *y, int32_t fits, uint32_t *scratch)
{
    const mcg_forward_plan_t plan =
        mcg_forward_plan(scratch, fits, mcg_max(mcg_up4(g->in_c), MCG_PANEL_LEAST));
    const mcg_copy_t copy = {mcg_up4(g->in_c), mcg_halves(-g->x_zero, -g->x_zero), 1, 0, 0};
    const mcg_part_t all = {0, 1, 0, mcg_up4(g->in_c) / 4};
    const int32_t steps = mcg_panel_steps(all.words);
    for (int32_t first = 0; first < g->out_c; first += fits) {
        const int32_t rows = mcg_min(fits, g->out_c - first);
        mcg_direct_run_t run = {
            plan.start, steps, mult + first, y, plan.b + 4 * steps, plan.b, mcg_fixed_zero(g->y_zero),
            g->out_c,   mult,  scale + first};
        mcg_panel_output_t how = {scale + first + rows - 1, clip, g->y_zero, g->out_c, 0, 0, {0, 0}};
        mcg_panel_rows(w + first * g->in_c, g->in_c, rows, g->in_c, zero, &all, plan.a);
        mcg_forward_start(bias + first, rows, plan.start);
        mcg_frozen_rows(g, x, &plan, &copy, rows, &run, &how, y + first);
    }
}

void mcg_pointwise_frozen_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                             const int32_t *bias, const float *scale, const int32_t *mult,
                             const int32_t *clip, int8_t *y, int32_t room, uint32_t *scratch)
{
    const int32_t k = mcg_max(mcg_up4(g->in_c), MCG_PANEL_LEAST);
    const int32_t fits = mcg_min(mcg_forward_fits(room / 4, k), mcg_up4(g->out_c));
    if (MCG_HAS_MVE || MCG_HAS_M7 || MCG_SLOW_FLOATS || fits < 4 || g->out_h * g->out_w < 4) {
        int32_t peak;
        mcg_panel_forward_s8(g, x, w, w_zero, bias, scale, clip, y, &peak, room, scratch);
    } else {
        mcg_frozen_panels(g, x, w, w_zero == NULL ? 0 : *w_zero, bias, scale, mult, clip, y, fits, scratch);
    }
}
