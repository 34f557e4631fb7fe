/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Lines of pixels, and those that are in panels at a time. */
typedef struct {
    int32_t length, lines;
    int32_t first, some;
} mcg_pair_pixels_t;

static int32_t mcg_pair_steps(const mcg_pair_pixels_t *p, int32_t lines)
{
    return lines * ((p->length + 1) / 2);
}

/* Errors of a channel as a row; returns their sum. */
static int32_t mcg_pair_channel(const int8_t *e, int32_t pitch, const mcg_pair_pixels_t *p, uint32_t *to)
{
    mcg_pair_line_t line = {e + p->first * p->length * pitch, NULL, p->length, pitch, 1, 0, 0, 1, 0, 0};
    int32_t sum = 0;
    line.tap = p->length * pitch;
    for (int32_t i = 0; i < p->some; i++) {
        sum += mcg_pair_line(&line, 1, to);
        line.at += line.tap;
        to += (p->length + 1) / 2;
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
    if (p->length == g->out_w) {
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
        (void)mcg_pair_line(&here, 4, to);
        to += (p->length + 1) / 2 * 4;
    }
}

/* Sums of the gradients of some weights, four by four, of some rows; of later pixels they are added to what
 * there is. */
static void mcg_pair_gradients(const mcg_conv2d_t *g, const int8_t *x, int32_t rows, int32_t k, int32_t fours,
                               const mcg_pair_pixels_t *p, const mcg_pair_plan_t *plan)
{
    const int32_t weights = g->k_h * g->k_w * g->in_c;
    for (int32_t f = 0; f < fours; f++) {
        int32_t *const sums = plan->sums + f * 4 * rows;
        int32_t *const to = p->first == 0 ? sums : plan->sums + (plan->fours - 1) * 4 * rows;
        const mcg_pair_run_t run = {plan->row, to, to + 4 * rows, mcg_pair_steps(p, p->some)};
        for (int32_t i = 0; i < 4; i++) { /* beyond the last weight that one again */
            mcg_pair_column(g, x, mcg_min(k + 4 * f + i, weights - 1), p, plan->b + i);
        }
        mcg_pair_products(plan->a, plan->b, &run);
        for (int32_t i = 0; p->first != 0 && i < 4 * rows; i++) {
            sums[i] += to[i];
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
                             const int32_t *from, mcg_pair_row_t *row)
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
        const int32_t *const sums = from + 4 * r;
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
            row[r].mult = 1;
        }
    }
}

/* Instructions of an update, about, where all pixels are in panels. */
static uint32_t mcg_pair_whole(const mcg_conv2d_t *g, int32_t channels, int32_t fours, int32_t room,
                               uint32_t *scratch, mcg_pair_pixels_t *p, mcg_pair_plan_t *plan)
{
    /* Where every window is a pixel, all lines are one. */
    p->lines = mcg_pair_flat(g) ? 1 : g->out_h;
    p->length = mcg_pair_flat(g) ? g->out_h * g->out_w : g->out_w;
    p->first = 0;
    p->some = p->lines;
    const int32_t steps = mcg_pair_steps(p, p->lines);
    return mcg_pair_plan(steps, channels, MCG_PAIR_FOURS, room, scratch, plan)
               ? mcg_pair_cost(plan, channels, p->lines, p->lines, steps, fours)
               : UINT32_MAX;
}

/* The same where some lines are, of so many words at least, and the sums of all weights of some rows exist
 * until the last. */
static uint32_t mcg_pair_banded(const mcg_conv2d_t *g, int32_t channels, int32_t fours, int32_t least,
                                int32_t room, uint32_t *scratch, mcg_pair_pixels_t *p, mcg_pair_plan_t *plan)
{
    mcg_pair_plan_t more;
    p->lines = g->out_h;
    p->length = g->out_w;
    p->first = 0;
    p->some = 1;
    while (p->some < p->lines && mcg_pair_steps(p, p->some) < least) {
        p->some++;
    }
    if (!mcg_pair_plan(mcg_pair_steps(p, p->some), channels, fours + 1, room, scratch, plan)) {
        return UINT32_MAX;
    }
    while (2 * p->some < p->lines &&
           mcg_pair_plan(mcg_pair_steps(p, 2 * p->some), channels, fours + 1, room, scratch, &more) &&
           more.blocks == plan->blocks) {
        p->some *= 2;
        *plan = more;
    }
    const uint32_t bands = (uint32_t)((p->lines + p->some - 1) / p->some);
    return mcg_pair_cost(plan, channels, p->lines, p->lines, mcg_pair_steps(p, p->lines), fours) +
           bands * (uint32_t)(fours * (400 * plan->blocks + 60 * channels));
}

/* Whether rows fit, and pairs take less than the portable bodies, of which that of windows leaves out errors
 * that are 0. */
static bool mcg_pair_pays_update(const mcg_conv2d_t *g, const int8_t *e, int32_t channels, int32_t room,
                                 uint32_t *scratch, mcg_pair_pixels_t *p, mcg_pair_plan_t *plan)
{
    const bool flat = mcg_pair_flat(g);
    const int32_t weights = g->k_h * g->k_w * g->in_c;
    const int32_t fours = (weights + 3) / 4;
    const int32_t pixels = g->out_h * g->out_w;
    const int32_t errors = pixels * channels;
    const int32_t least = MCG_PAIR_ALWAYS ? 2 : MCG_PAIR_BAND;
    const int32_t windows = flat ? 0 : pixels * ((channels + 3) / 4); /* are copied */
    if (mcg_pair_small(pixels, channels * weights)) {
        return false;
    }
    uint32_t pairs = mcg_pair_whole(g, channels, fours, room, scratch, p, plan);
    if ((pairs == UINT32_MAX || plan->blocks > 1) && pixels > 2 * least) {
        mcg_pair_pixels_t some;
        mcg_pair_plan_t banded;
        const uint32_t other = mcg_pair_banded(g, channels, fours, least, room, scratch, &some, &banded);
        if (other < UINT32_MAX && mcg_pair_less(other, pairs)) {
            pairs = other;
            *p = some;
            *plan = banded;
        }
    }
    const uint32_t rest =
        62 * (uint32_t)(channels * weights) + (uint32_t)windows * (uint32_t)(5 * weights + 120 * g->k_h);
    const uint32_t product = (uint32_t)errors * (uint32_t)(7 * weights + 45) / MCG_PAIR_SAMPLES; /* of all */
    if (pairs == UINT32_MAX) {
        return false;
    }
    pairs += 2800;
    return mcg_pair_less(pairs, rest + MCG_PAIR_SAMPLES * product) &&
           (flat || mcg_pair_less(pairs, rest + mcg_pair_there(e, errors) * product));
}

bool mcg_pair_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                     const mcg_scale_t *factor, const mcg_rule_t *rule, uint32_t stream, int8_t *w,
                     uint8_t *residual, float *w_scale, int32_t room, uint32_t *scratch)
{
    const int32_t weights = g->k_h * g->k_w * g->in_c;
    const int32_t channels = mcg_active_count(active, g->out_c);
    mcg_pair_pixels_t p;
    mcg_pair_plan_t plan = {NULL, NULL, NULL, NULL,
                            0,    0,    0}; /* for compilers that do not see that it is set */
    if (!mcg_pair_pays_update(g, e, channels, room, scratch, &p, &plan)) {
        return false;
    }
    const int32_t step = p.some;
    const int32_t together = step < p.lines ? plan.fours - 1 : plan.fours; /* one more for later pixels */
    const uint32_t words = ((uint32_t)weights + 3U) / 4U;
    const int32_t bytes = (weights * rule->residual_bits + 7) / 8;
    mcg_pair_weights_t v = {active, factor, rule,     stream, words * MCG_COUNTER_STEP, weights, bytes,
                            0,      w,      residual, 0};
    while (v.most < 16 && g->out_h * g->out_w * (127 * 255) < MCG_ACC_LIMIT >> v.most) {
        v.most++;
    }
    for (int32_t first = 0; first < channels; first += plan.rows) {
        const int32_t rows = mcg_min(plan.rows, channels - first);
        v.first = first;
        for (int32_t r = 0; r < rows; r++) {
            plan.row[r].mult = 0; /* 1 once a weight has left its range */
        }
        for (int32_t k = 0; k < weights; k += 4 * together) {
            const int32_t fours = mcg_min(together, (weights - k + 3) / 4);
            for (p.first = 0; p.first < p.lines; p.first += step) {
                p.some = mcg_min(step, p.lines - p.first);
                for (int32_t r = 0; r < rows && (k == 0 || step < p.lines); r++) {
                    /* e (x - zero) = e x - zero * (sum of e) */
                    plan.row[r].start =
                        -g->x_zero * mcg_pair_channel(e + first + r, channels, &p,
                                                      plan.a + r * mcg_pair_steps(&p, p.some));
                }
                mcg_pair_gradients(g, x, rows, k, fours, &p, &plan);
            }
            for (int32_t i = 0; i < fours; i += MCG_PAIR_FOURS) {
                mcg_pair_weights(&v, rows, k + 4 * i, mcg_min(fours - i, MCG_PAIR_FOURS),
                                 plan.sums + i * 4 * rows, plan.row);
            }
        }
        for (int32_t r = 0; r < rows; r++) {
            const int32_t o = mcg_active_at(active, first + r);
            if (plan.row[r].mult != 0) {
                rule->grow(w + o * weights, mcg_residual_at(residual, o * bytes), weights);
                w_scale[o] *= MCG_GROWTH;
            }
        }
    }
    return true;
}
