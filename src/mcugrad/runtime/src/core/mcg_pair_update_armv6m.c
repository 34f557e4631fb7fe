/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Lines of pixels, and what is taken of them. */
typedef struct {
    int32_t length, lines;
    int32_t first, some; /* lines */
    int32_t from, count; /* pixels of each */
} mcg_pair_pixels_t;

static int32_t mcg_pair_steps(const mcg_pair_pixels_t *p) { return p->some * ((p->count + 1) / 2); }

/* Errors of a channel as a row; returns their sum. */
static int32_t mcg_pair_channel(const int8_t *e, int32_t pitch, const mcg_pair_pixels_t *p, uint32_t *to)
{
    mcg_pair_line_t line = {e + p->first * p->length * pitch, NULL, p->length, pitch, 1, 0, 0, 1, 0, 0};
    int32_t sum = 0;
    line.tap = p->length * pitch;
    for (int32_t i = 0; i < p->some; i++) {
        sum += mcg_pair_line(&line, p->from, p->count, 1, to);
        line.at += line.tap;
        to += (p->count + 1) / 2;
    }
    return sum;
}

/* What a weight is multiplied with at all pixels, as one of four columns. */
static void mcg_pair_column(const mcg_conv2d_t *g, const int8_t *x, int32_t k, const mcg_pair_pixels_t *p,
                            uint32_t *to)
{
    const int32_t run = g->k_w * g->in_c;
    const int32_t ky = k / run;
    const int32_t kx = (k - ky * run) / g->in_c;
    const int32_t left = kx * g->dilation_w - g->pad_left;
    mcg_pair_line_t line = {NULL, NULL, 1, 0, p->length, g->stride_w * g->in_c, 0, p->length, g->x_zero, 0};
    if (p->lines > 1 || g->out_h == 1) {
        while (line.low < p->length && left + line.low * g->stride_w < 0) {
            line.low++;
        }
        while (line.high > line.low && left + (line.high - 1) * g->stride_w >= g->in_w) {
            line.high--;
        }
    }
    for (int32_t i = p->first; i < p->first + p->some; i++) {
        const int32_t y = i * g->stride_h - g->pad_top + ky * g->dilation_h;
        mcg_pair_line_t here = line;
        here.at = x + (y * g->in_w + left) * g->in_c + (k - ky * run - kx * g->in_c);
        if (y < 0 || y >= g->in_h) {
            here.high = here.low;
        }
        (void)mcg_pair_line(&here, p->from, p->count, 4, to);
        to += (p->count + 1) / 2 * 4;
    }
}

/* Sums of the gradients of four weights of some rows. */
static void mcg_pair_gradients(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, int32_t pitch,
                               int32_t rows, int32_t k, const mcg_pair_pixels_t *p,
                               const mcg_pair_plan_t *plan, int32_t *sums)
{
    const int32_t weights = g->k_h * g->k_w * g->in_c;
    for (int32_t i = 0; i < 4; i++) { /* beyond the last weight that one again */
        mcg_pair_column(g, x, mcg_min(k + i, weights - 1), p, plan->b + i);
    }
    if (plan->whole) {
        const mcg_pair_run_t run = {plan->row, sums, sums + 4 * rows, mcg_pair_steps(p)};
        mcg_pair_products(plan->a, plan->b, &run);
        return;
    }
    for (int32_t r = 0; r < rows; r++) {
        const mcg_pair_row_t none = {0, 0, 0, 0};
        int32_t more[4];
        const mcg_pair_run_t run = {&none, more, more + 4, mcg_pair_steps(p)};
        (void)mcg_pair_channel(e + r, pitch, p, plan->a);
        mcg_pair_products(plan->a, plan->b, &run);
        for (int32_t i = 0; i < 4; i++) {
            sums[4 * r + i] += more[i];
        }
    }
}

/* The same part by part, where there is no room for whole rows. */
static void mcg_pair_gradient_parts(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, int32_t pitch,
                                    int32_t rows, int32_t k, const mcg_pair_pixels_t *all,
                                    const mcg_pair_plan_t *plan, int32_t *sums)
{
    const int32_t steps = (all->length + 1) / 2;
    mcg_pair_pixels_t p = *all;
    p.some = mcg_max(1, MCG_PAIR_PART / steps);
    p.count = mcg_min(p.length, 2 * MCG_PAIR_PART);
    for (int32_t i = 0; i < 4 * rows; i++) {
        sums[i] = plan->row[i / 4].start;
    }
    for (p.first = 0; p.first < p.lines; p.first += p.some) {
        p.some = mcg_min(p.some, p.lines - p.first);
        for (p.from = 0; p.from < p.length; p.from += 2 * MCG_PAIR_PART) {
            p.count = mcg_min(p.length - p.from, 2 * MCG_PAIR_PART);
            mcg_pair_gradients(g, x, e, pitch, rows, k, &p, plan, sums);
        }
    }
}

/* Where weights are, and how they change. */
typedef struct {
    const uint16_t *active;
    const mcg_scale_t *factor;
    const mcg_rule_t *rule;
    uint32_t stream, counters; /* first counter, and from row to row */
    int32_t weights, bytes;    /* of a row, and of its residual bits */
    int32_t most;              /* shifts before, from which on sums might have to be clamped */
    int8_t *w;
    uint8_t *residual;
    int32_t first; /* row */
} mcg_pair_weights_t;

/* Twice the changes, half of which they are, of four weights; sums need no clamp. */
#if MCG_ARMV6M_INSTRUCTIONS
/* clang-format off */
#define MCG_PAIR_CHANGE                                                                         \
    "ldm r0!, {r3}\n\t"                                                                         \
    "rsbs r3, r3, #0\n\t" "lsls r3, r1\n\t"                                                     \
    "asrs r4, r3, #16\n\t" "muls r4, r5\n\t"                                                    \
    "uxth r3, r3\n\t" "muls r3, r5\n\t" "lsrs r3, r3, #16\n\t"                                  \
    "adds r3, r3, r4\n\t" "adds r3, r3, r6\n\t" "asrs r3, r7\n\t" "lsls r3, r3, #1\n\t"         \
    "stm r2!, {r3}\n\t"
MCG_NAKED
static void mcg_pair_changes(MCG_SPARE const int32_t *gradient, MCG_SPARE const mcg_scale_t *factor,
                             MCG_SPARE int32_t *value)
{
    __asm__ volatile(
        ".syntax unified\n\t"
        "push {r4-r7, lr}\n\t"
        "ldrh r5, [r1, #0]\n\t"
        "ldrb r7, [r1, #2]\n\t"
        "ldrb r1, [r1, #3]\n\t"
        "subs r7, r7, #16\n\t"
        "movs r6, #1\n\t"
        "lsls r6, r7\n\t"
        "lsrs r6, r6, #1\n\t"
        MCG_PAIR_CHANGE MCG_PAIR_CHANGE MCG_PAIR_CHANGE MCG_PAIR_CHANGE
        "pop {r4-r7, pc}\n\t");
}
/* clang-format on */
#else
static void mcg_pair_changes(const int32_t *gradient, const mcg_scale_t *factor, int32_t *value)
{
    for (int32_t i = 0; i < 4; i++) {
        value[i] = 2 * mcg_rescale_core(-gradient[i] * ((int32_t)1 << factor->pre), *factor);
    }
}
#endif
MCG_STATIC_ASSERT(sizeof(mcg_scale_t) == 4, "assembler reads factors");

/* Some weights of a row by the rule's own function; returns whether one has left its range. */
MCG_APART static bool mcg_pair_slow(const mcg_pair_weights_t *v, const mcg_pair_change_t *c,
                                    const int32_t *sums, int32_t rows, int32_t from, int32_t count, int32_t k,
                                    int32_t o)
{
    int32_t gradient[4 * MCG_PAIR_FOURS];
    for (int32_t i = from; i < count; i++) {
        gradient[i] = sums[i / 4 * 4 * rows + i % 4];
    }
    return v->rule->step(c->w + from, mcg_residual_at(c->residual, from * v->rule->residual_bits / 8),
                         gradient + from, count - from, k + from, v->factor[o],
                         v->stream + (uint32_t)o * v->counters);
}

/* Some weights of each row by their gradients. */
static void mcg_pair_weights(const mcg_pair_weights_t *v, int32_t rows, int32_t k, int32_t fours,
                             const mcg_pair_plan_t *plan)
{
    const int32_t count = mcg_min(4 * fours, v->weights - k);
    const int32_t known = mcg_pair_knows(v->rule) ? count & ~3 : 0;
    const uint32_t more = v->stream + ((uint32_t)k / 4U) * MCG_COUNTER_STEP;
    int8_t *const w = v->w + k;
    uint8_t *const low = mcg_residual_at(v->residual, k * v->rule->residual_bits / 8);
    int32_t value[4 * MCG_PAIR_FOURS];
    mcg_pair_change_t c = {value, NULL, NULL, 0, 1, 1, NULL};
    for (int32_t r = 0; r < rows; r++) {
        const int32_t o = mcg_active_at(v->active, v->first + r);
        const mcg_scale_t *const factor = v->factor + o;
        const int32_t *const sums = plan->sums + 4 * r;
        const int32_t fast = factor->pre < v->most ? known : 0;
        bool over = false;
        c.w = w + o * v->weights;
        c.residual = mcg_residual_at(low, o * v->bytes);
        if (fast > 0) {
            c.counter = more + (uint32_t)o * v->counters;
            c.end = c.w + fast;
            mcg_pair_changes(sums, factor, value);
            for (int32_t i = 4; i < fast; i += 4) {
                mcg_pair_changes(sums + i * rows, factor, value + i);
            }
            over = mcg_pair_step(&c, v->rule);
        }
        if (fast < count) {
            over |= mcg_pair_slow(v, &c, sums, rows, fast, count, k, o);
        }
        if (over) {
            plan->row[r].mult = 1;
        }
    }
}

void mcg_pair_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                     const mcg_scale_t *factor, const mcg_rule_t *rule, uint32_t stream, int8_t *w,
                     uint8_t *residual, float *w_scale, int32_t room, uint32_t *scratch)
{
    const int32_t weights = g->k_h * g->k_w * g->in_c;
    const int32_t channels = mcg_active_count(active, g->out_c);
    const uint32_t words = ((uint32_t)weights + 3U) / 4U;
    const int32_t bytes = (weights * rule->residual_bits + 7) / 8;
    /* Where every window is a pixel, all lines are one. */
    const bool flat = g->in_h == g->out_h && g->in_w == g->out_w && g->k_h * g->k_w == 1;
    const int32_t lines = flat ? 1 : g->out_h;
    const int32_t length = g->out_h * g->out_w / lines;
    const mcg_pair_pixels_t all = {length, lines, 0, lines, 0, length};
    uint32_t few[MCG_PAIR_FEW];
    mcg_pair_plan_t plan;
    mcg_pair_weights_t v = {active, factor, rule,     stream, words * MCG_COUNTER_STEP, weights, bytes,
                            0,      w,      residual, 0};
    mcg_pair_plan(mcg_pair_steps(&all), channels, MCG_PAIR_FOURS, room, scratch, few, &plan);
    while (v.most < 16 && length * lines * (127 * 255) < MCG_ACC_LIMIT >> v.most) {
        v.most++;
    }
    for (int32_t first = 0; first < channels; first += plan.rows) {
        const int32_t rows = mcg_min(plan.rows, channels - first);
        v.first = first;
        for (int32_t r = 0; r < rows; r++) {
            int32_t sum = 0;
            if (plan.whole) {
                sum = mcg_pair_channel(e + first + r, channels, &all, plan.a + r * mcg_pair_steps(&all));
            } else {
                for (int32_t i = 0; i < length * lines; i++) {
                    sum += e[i * channels + first + r];
                }
            }
            plan.row[r].start = -g->x_zero * sum; /* e (x - zero) = e x - zero * (sum of e) */
            plan.row[r].mult = 0;                 /* 1 once a weight has left its range */
        }
        for (int32_t k = 0; k < weights; k += 4 * plan.fours) {
            const int32_t fours = mcg_min(plan.fours, (weights - k + 3) / 4);
            for (int32_t i = 0; i < fours; i++) {
                int32_t *const sums = plan.sums + i * 4 * rows;
                if (plan.whole) {
                    mcg_pair_gradients(g, x, e + first, channels, rows, k + 4 * i, &all, &plan, sums);
                } else {
                    mcg_pair_gradient_parts(g, x, e + first, channels, rows, k, &all, &plan, sums);
                }
            }
            mcg_pair_weights(&v, rows, k, fours, &plan);
        }
        for (int32_t r = 0; r < rows; r++) {
            const int32_t o = mcg_active_at(active, first + r);
            if (plan.row[r].mult != 0) {
                rule->grow(w + o * weights, mcg_residual_at(residual, o * bytes), weights);
                w_scale[o] *= MCG_GROWTH;
            }
        }
    }
}
