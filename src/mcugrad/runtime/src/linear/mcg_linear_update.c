/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_linear_update(const mcg_linear_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int8_t *w, uint8_t *residual, float *w_scale)
{
    int32_t gradient[MCG_BLOCK];
    const uint32_t words = ((uint32_t)g->inputs + 3U) / 4U;
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    const int32_t out = mcg_active_count(active, g->out);
    for (int32_t k = 0; k < out; k++) {
        const int32_t o = mcg_active_at(active, k);
        int8_t *row = w + o * g->inputs;
        uint8_t *low = mcg_residual_at(residual, o * ((g->inputs * rule->residual_bits + 7) / 8));
        const uint32_t counter = stream + (uint32_t)o * words * MCG_COUNTER_STEP;
        const int32_t error = e[k];
        bool saturated = false;
        if (error == 0) {
            continue; /* a zero gradient leaves a weight as it is, whatever the random number */
        }
        for (int32_t first = 0; first < g->inputs; first += MCG_BLOCK) {
            const int32_t count = mcg_min(g->inputs - first, MCG_BLOCK);
            for (int32_t i = 0; i < count; i++) {
                gradient[i] = error * (x[first + i] - g->x_zero);
            }
            saturated |= rule->step(row + first, mcg_residual_at(low, first * rule->residual_bits / 8),
                                    gradient, count, first, factor[o], counter);
        }
        if (saturated) {
            rule->grow(row, low, g->inputs);
            w_scale[o] *= MCG_GROWTH;
        }
    }
}
