/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Words of what is known of a row. */
#define MCG_UPDATE_ROW ((int32_t)(sizeof(mcg_panel_row_t) / sizeof(uint32_t)))
/* Pixels in panels at a time, where they are not all. */
#define MCG_UPDATE_PIXELS 64
/* Pixels of a whole step: with Helium, of a vector. */
#define MCG_UPDATE_TIMES (MCG_HAS_MVE ? 16 : 2)

/* Where panels, sums and rows lie, and how much of them at a time. */
typedef struct {
    mcg_panel_row_t *row;
    int32_t *start, *sums;
    uint32_t *b, *a;
    int32_t rows, pixels;
    int32_t fours; /* of weights whose sums exist at a time */
} mcg_update_plan_t;

/* Words on the stack that stand in for less scratch. */
#define MCG_UPDATE_FEW (MCG_HAS_MVE ? MCG_PANEL_UPDATE_MVE : MCG_PANEL_UPDATE)
/* Words with which twice as many rows are in panels, where these are of hardly any pixels. */
#define MCG_UPDATE_SOME 184

/* Panels of the errors of all pixels and of some rows; or, where that takes fewer rounds, the sums of all
 * weights of these rows, and panels of some pixels; or a little of both. There are MCG_UPDATE_FEW words or
 * more.
 */
static void mcg_update_plan(int32_t pixels, int32_t weights, int32_t channels, int32_t words,
                            uint32_t *scratch, mcg_update_plan_t *p)
{
    const int32_t even = mcg_max((pixels + 1) & ~1, MCG_PANEL_LEAST);
    const int32_t part = mcg_min(even, MCG_UPDATE_PIXELS);
    const int32_t most = mcg_up4(channels);
    const int32_t whole = mcg_min(most, (words - 2 * even) / (even / 2 + 8 + MCG_UPDATE_ROW) & ~3);
    const int32_t parts =
        mcg_min(most, (words - 2 * part) / (part / 2 + mcg_up4(weights) + MCG_UPDATE_ROW) & ~3);
    const bool all =
        whole >= 4 && (whole >= parts || (most + whole - 1) / whole <= (most + parts - 1) / parts);
    p->fours = 1;
    if (all) {
        p->rows = whole;
        p->pixels = even;
    } else if (parts >= 4) {
        p->rows = parts;
        p->pixels = part;
        p->fours = mcg_up4(weights) / 4;
    } else {
        p->rows = words < MCG_UPDATE_SOME ? MCG_PANEL_ROWS : 2 * MCG_PANEL_ROWS;
        p->pixels = (words - p->rows * (4 + MCG_UPDATE_ROW)) / (2 + p->rows / 2) & -MCG_UPDATE_TIMES;
        p->pixels = mcg_min(mcg_max(even, MCG_UPDATE_TIMES), p->pixels);
    }
    p->row = (mcg_panel_row_t *)scratch;
    p->sums = (int32_t *)scratch + MCG_UPDATE_ROW * p->rows;
    p->b = (uint32_t *)p->sums + 4 * p->fours * p->rows;
    p->start = NULL;
    if (all) {
        p->start = (int32_t *)p->b;
        p->b += 4 * p->rows;
    }
    p->a = p->b + 2 * p->pixels;
}

static void mcg_update_clear(int32_t *values, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        values[i] = 0;
    }
}

/* Sums of the gradients of some fours of weights over all pixels. */
static void mcg_update_sums(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, int32_t pitch,
                            int32_t rows, const mcg_update_plan_t *p, int32_t k, int32_t fours)
{
    const int32_t pixels = g->out_h * g->out_w;
    const int32_t size = mcg_up4(rows) * 4;
    mcg_update_clear(p->sums, fours * size);
    for (int32_t first = 0; first < pixels; first += p->pixels) {
        const int32_t count = mcg_min(p->pixels, pixels - first);
        const int32_t steps = mcg_panel_pixels(count);
        mcg_panel_channels(e + first * pitch, pitch, rows, count, p->a);
        for (int32_t i = 0; i < fours; i++) {
            int32_t *const sums = p->sums + i * size;
            const mcg_products_run_t run = {p->b + 4 * steps, sums, sums, sums + (rows + 1) / 2 * 8, steps};
            mcg_panel_fold(p->a, rows, steps, g->x_zero, 0, sums);
            mcg_panel_taps(g, x, k + 4 * i, first, count, p->b);
            mcg_panel_products(p->a, p->b, &run);
        }
    }
}

/* All weights of some rows. */
static void mcg_update_rows(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, int32_t pitch,
                            int32_t rows, const mcg_rule_t *rule, int8_t *w, uint8_t *residual,
                            const mcg_update_plan_t *p)
{
    const int32_t pixels = g->out_h * g->out_w;
    const int32_t weights = g->k_h * g->k_w * g->in_c;
    if (p->start != NULL) {
        mcg_panel_channels(e, pitch, rows, pixels, p->a);
        mcg_update_clear(p->start, 4 * mcg_up4(rows));
        mcg_panel_fold(p->a, rows, mcg_panel_pixels(pixels), g->x_zero, 0, p->start);
    }
    for (int32_t k = 0; k < weights; k += 4 * p->fours) {
        if (p->start != NULL) {
            const int32_t steps = mcg_panel_pixels(pixels);
            const mcg_products_run_t run = {p->b + 4 * steps, p->start, p->sums, p->sums + (rows + 1) / 2 * 8,
                                            steps};
            mcg_panel_taps(g, x, k, 0, pixels, p->b);
            mcg_panel_products(p->a, p->b, &run);
        } else {
            mcg_update_sums(g, x, e, pitch, rows, p, k, mcg_min(p->fours, (weights - k + 3) / 4));
        }
        for (int32_t i = 0; i < p->fours && k + 4 * i < weights; i++) {
            mcg_panel_step(p->sums + i * mcg_up4(rows) * 4, rows, k + 4 * i, mcg_min(4, weights - k - 4 * i),
                           rule, w, residual, p->row);
        }
    }
}

void mcg_panel_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                      const mcg_scale_t *factor, const mcg_rule_t *rule, uint32_t stream, int8_t *w,
                      uint8_t *residual, float *w_scale, int32_t room, uint32_t *scratch)
{
    const int32_t weights = g->k_h * g->k_w * g->in_c;
    const int32_t pixels = g->out_h * g->out_w;
    const int32_t channels = mcg_active_count(active, g->out_c);
    uint32_t few[MCG_UPDATE_FEW];
    mcg_update_plan_t p;
    mcg_update_plan(pixels, weights, channels, mcg_max(room / 4, MCG_UPDATE_FEW),
                    room / 4 < MCG_UPDATE_FEW ? few : scratch, &p);
    for (int32_t first = 0; first < channels; first += p.rows) {
        const int32_t rows = mcg_min(p.rows, channels - first);
        mcg_panel_begin(rows, active, first, weights, pixels, factor, rule, stream, p.row);
        mcg_update_rows(g, x, e + first, channels, rows, rule, w, residual, &p);
        mcg_panel_end(rows, active, first, weights, rule, p.row, w, residual, w_scale);
    }
}
