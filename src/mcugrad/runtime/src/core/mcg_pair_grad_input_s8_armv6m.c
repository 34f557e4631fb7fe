/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Packs turned rows of weights, and how sums of each are rescaled: those whose factor has to be
 * shifted before one by one, by a result that is no error. */
static void mcg_pair_turn(const mcg_pair_rows_t *w, int32_t steps, const mcg_scale_t *scale, int32_t first,
                          int32_t rows, const mcg_pair_plan_t *plan)
{
    for (int32_t i = 0; i < rows; i++) {
        const mcg_scale_t s = scale[first + i];
        mcg_pair_row_t *const row = plan->row + i;
        row->start = 0;
        row->mult = s.pre == 0 ? s.mult : 0;
        row->shift = s.pre == 0 ? s.shift - 16 : 1;
        row->round = (int32_t)1 << (s.pre == 0 ? row->shift - 1 : 20);
        (void)mcg_pair_rows(w, first + i, plan->a + i * steps);
    }
}

/* Errors of all input pixels of one kind. */
static void mcg_pair_kind(const mcg_conv2d_t *g, const mcg_panel_axis_t *v, const mcg_panel_axis_t *u,
                          const mcg_windows_t *m, const mcg_pair_rows_t *w, const int32_t *w_zero,
                          const mcg_pair_plan_t *plan, mcg_pair_error_t *how)
{
    const int32_t pixels = v->count * u->count;
    const int32_t steps = m->k_h * ((m->k_w * m->channels + 1) / 2);
    const mcg_map_t map = {m->map, m->height, m->width, m->pitch, m->channels, 0};
    for (int32_t first = 0; first < g->in_c; first += plan->rows) {
        const int32_t rows = mcg_min(plan->rows, g->in_c - first);
        int32_t y = 0;
        int32_t x = 0;
        mcg_pair_turn(w, steps, how->scale, first, rows, plan);
        for (int32_t p = 0; p < pixels; p += 4) {
            const int32_t here = mcg_min(pixels - p, 4);
            mcg_four_t four;
            int32_t at[4];
            int32_t less[4];
            for (int32_t i = 0; i < 4; i++) { /* beyond the last pixel that one again */
                const int32_t row = v->first + y * g->stride_h;
                const int32_t column = u->first + x * g->stride_w;
                four.top[i] = v->at + y - (v->taps - 1) * v->apart;
                four.left[i] = u->at + x - (u->taps - 1) * u->apart;
                at[i] = (row * g->in_w + column) * g->in_c;
                less[i] = w_zero == NULL ? 0 : *w_zero * mcg_reach_sum_s8(g, &map, row, column);
                if (p + i + 1 < pixels && ++x == u->count) {
                    x = 0;
                    y++;
                }
            }
            mcg_pair_sums(m, &four, w, rows, plan);
            for (int32_t i = 0; w_zero != NULL && i < 4 * rows; i++) {
                plan->sums[i] -= less[i % 4];
            }
            mcg_pair_errors(plan->sums, plan->row, first, rows, here, at, how);
        }
    }
}

/* How often a tap meets an error along an axis, of all input pixels of a kind. */
static int32_t mcg_pair_hits(const mcg_panel_axis_t *a, int32_t size)
{
    int32_t hits = 0;
    for (int32_t i = 0; i < a->taps; i++) {
        const int32_t at = a->at - i * a->apart; /* error that the first pixel meets */
        hits += mcg_max(0, mcg_min(size - at, a->count) - mcg_max(-at, 0));
    }
    return hits;
}

/* Whether rows fit, and pairs take less than the portable body: that leaves out errors that are 0 and taps
 * beside the map. */
static bool mcg_pair_pays_back(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, int32_t room,
                               uint32_t *scratch)
{
    const int32_t channels = mcg_active_count(active, g->out_c);
    const int32_t errors = g->out_h * g->out_w * channels;
    const int32_t pixels = g->in_h * g->in_w;
    const int32_t turned = active == NULL ? 0 : 100 * g->in_c; /* weights one by one */
    uint32_t pairs = 0;
    uint32_t hits = 0;
    if (mcg_pair_small(pixels, channels * g->in_c * g->k_h * g->k_w) ||
        (!MCG_PAIR_ALWAYS && g->k_h * g->k_w > 1 && pixels < MCG_PAIR_WINDOWS)) {
        return false;
    }
    for (int32_t fy = 0; fy < g->stride_h; fy++) {
        mcg_panel_axis_t v;
        mcg_panel_axis(fy, g->in_h, g->k_h, g->stride_h, g->pad_top, g->dilation_h, &v);
        for (int32_t fx = 0; fx < g->stride_w; fx++) {
            mcg_panel_axis_t u;
            mcg_pair_plan_t plan;
            mcg_panel_axis(fx, g->in_w, g->k_w, g->stride_w, g->pad_left, g->dilation_w, &u);
            const int32_t words = v.taps * ((u.taps * channels + 1) / 2);
            const int32_t fours = (v.count * u.count + 3) / 4;
            const int32_t runs = mcg_pair_runs(v.taps, u.taps, channels, u.apart);
            if (words * fours == 0) {
                continue;
            }
            if (!mcg_pair_plan(words, g->in_c, 1, room, scratch, &plan)) {
                return false;
            }
            hits += (uint32_t)(mcg_pair_hits(&v, g->out_h) * mcg_pair_hits(&u, g->out_w));
            pairs += mcg_pair_cost(&plan, g->in_c, v.taps * u.taps, runs, words, fours) +
                     (uint32_t)(2600 + turned * words);
        }
    }
    const uint32_t rest = hits * (uint32_t)(300 + 30 * channels) + (uint32_t)(84 * pixels * g->in_c);
    const uint32_t product = hits * (uint32_t)(6 * channels * g->in_c) / MCG_PAIR_SAMPLES; /* of all errors */
    return mcg_pair_less(pairs, rest + MCG_PAIR_SAMPLES * product) &&
           mcg_pair_less(pairs, rest + mcg_pair_there(e, errors) * product);
}

bool mcg_pair_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                            const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                            const int32_t *clip, int8_t *e_x, int32_t *peak, int32_t room, uint32_t *scratch)
{
    const int32_t channels = mcg_active_count(active, g->out_c);
    const int32_t line = g->k_w * g->in_c;
    mcg_pair_error_t how = {scale, clip, x, e_x, g->x_zero, 0};
    if (!mcg_pair_pays_back(g, e, active, room, scratch)) {
        return false;
    }
    for (int32_t fy = 0; fy < g->stride_h; fy++) {
        mcg_panel_axis_t v;
        mcg_panel_axis(fy, g->in_h, g->k_h, g->stride_h, g->pad_top, g->dilation_h, &v);
        for (int32_t fx = 0; fx < g->stride_w; fx++) {
            mcg_panel_axis_t u;
            mcg_panel_axis(fx, g->in_w, g->k_w, g->stride_w, g->pad_left, g->dilation_w, &u);
            const int32_t steps = v.taps * ((u.taps * channels + 1) / 2);
            mcg_pair_plan_t plan;
            /* Where there is something to do it fits, as was seen before. */
            if (steps * v.count * u.count == 0 || !mcg_pair_plan(steps, g->in_c, 1, room, scratch, &plan)) {
                mcg_panel_nothing(g, &v, &u, e_x);
                continue;
            }
            const mcg_windows_t m = {e,        g->out_h * g->out_w * channels,
                                     g->out_h, g->out_w,
                                     channels, channels,
                                     v.taps,   u.taps,
                                     v.apart,  u.apart,
                                     0};
            const mcg_pair_rows_t rows = {
                {w + (v.tap + (v.taps - 1) * v.step) * line + (u.tap + (u.taps - 1) * u.step) * g->in_c,
                 active, channels, g->k_h * line, u.taps, -u.step * g->in_c, 0, u.taps, 0, 0},
                1,
                v.taps,
                -v.step * line,
                1};
            mcg_pair_kind(g, &v, &u, &m, &rows, w_zero, &plan, &how);
        }
    }
    *peak = how.highest;
    return true;
}
