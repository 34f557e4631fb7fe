/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Inputs that are looked at together, of so many rows: those that saturate are noted. */
#define MCG_LINEAR_INPUTS 256
#define MCG_LINEAR_ROWS 256

/* Some weights of a row, one by one. Apart: what calls it needs its registers. */
MCG_APART static bool mcg_linear_change(const int32_t *value, int32_t count, int32_t error, int32_t first,
                                        const mcg_scale_t *factor, const mcg_rule_t *rule, uint32_t counter,
                                        int8_t *w, uint8_t *residual)
{
    int32_t gradient[MCG_BLOCK];
    bool saturated = false;
    for (int32_t start = 0; start < count; start += MCG_BLOCK) {
        const int32_t n = mcg_min(count - start, MCG_BLOCK);
        for (int32_t i = 0; i < n; i++) {
            gradient[i] = error * value[start + i];
        }
        saturated |= rule->step(w + start, mcg_residual_at(residual, start * rule->residual_bits / 8),
                                gradient, n, first + start, *factor, counter);
    }
    return saturated;
}

void mcg_linear_update(const mcg_linear_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int8_t *w, uint8_t *residual, float *w_scale)
{
    const uint32_t words = ((uint32_t)g->inputs + 3U) / 4U;
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    const int32_t out = mcg_active_count(active, g->out);
    const int32_t bits = rule->residual_bits;
    const int32_t bytes = (g->inputs * bits + 7) / 8;
    int32_t value[MCG_LINEAR_INPUTS];
    mcg_pair_change_t c = {value, NULL, NULL, 0, 0, 0, NULL};
    for (int32_t start = 0; start < out; start += MCG_LINEAR_ROWS) {
        const int32_t end = mcg_min(start + MCG_LINEAR_ROWS, out);
        uint32_t saturated[MCG_LINEAR_ROWS / 32] = {0};
        for (int32_t first = 0; first < g->inputs; first += MCG_LINEAR_INPUTS) {
            const int32_t count = mcg_min(g->inputs - first, MCG_LINEAR_INPUTS);
            const int32_t known = mcg_pair_knows(rule) ? count & ~3 : 0;
            const uint32_t more = ((uint32_t)first / 4U) * MCG_COUNTER_STEP;
            for (int32_t i = 0; i < count; i++) {
                value[i] = x[first + i] - g->x_zero;
            }
            for (int32_t k = start; k < end; k++) {
                const int32_t error = e[k];
                const int32_t o = mcg_active_at(active, k);
                const mcg_scale_t *const f = factor + o;
                /* Products of bytes need no clamp for shifts up to 15, which then are fewer shifts down. */
                const int32_t fours = f->pre <= 15 ? known : 0;
                bool over = false;
                if (error == 0) {
                    continue; /* a zero gradient leaves a weight as it is, whatever the random number */
                }
                c.w = w + o * g->inputs + first;
                c.residual = mcg_residual_at(residual, o * bytes + first * bits / 8);
                c.counter = stream + (uint32_t)o * words * MCG_COUNTER_STEP;
                if (fours < count) {
                    over = mcg_linear_change(value + fours, count - fours, error, first + fours, f, rule,
                                             c.counter, c.w + fours,
                                             mcg_residual_at(c.residual, fours * bits / 8));
                }
                if (fours > 0) {
                    c.counter += more;
                    c.factor = -error * f->mult;
                    c.shift = f->shift - f->pre;
                    c.end = c.w + fours;
                    over |= mcg_pair_step(&c, rule);
                }
                if (over) {
                    saturated[(k - start) / 32] |= 1U << ((k - start) % 32);
                }
            }
        }
        for (int32_t k = start; k < end; k++) {
            if ((saturated[(k - start) / 32] >> ((k - start) % 32) & 1U) != 0U) {
                const int32_t o = mcg_active_at(active, k);
                rule->grow(w + o * g->inputs, mcg_residual_at(residual, o * bytes), g->inputs);
                w_scale[o] *= MCG_GROWTH;
            }
        }
    }
}
