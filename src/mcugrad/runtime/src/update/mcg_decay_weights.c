/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_decay_weights(int32_t out, int32_t count, const uint16_t *active, const float *decay,
                       const float *rate, const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step,
                       uint32_t tensor, int8_t *w, uint8_t *residual)
{
    const uint32_t words = ((uint32_t)count + 3U) / 4U;
    const uint32_t stream = mcg_stream(*seed, *step, tensor + MCG_STREAM_DECAY);
    const int32_t bits = rule->residual_bits;
    const float share = *rate * *decay * (float)MCG_DECAY_TURNS;
    const mcg_scale_t factor = mcg_scale_from_float((share < 1.0F ? share : 1.0F) * 65536.0F);
    const mcg_scale_t one = mcg_scale_from_float(1.0F);
    int32_t d[MCG_BLOCK];
    uint16_t random[MCG_BLOCK];
    const int32_t listed = mcg_active_count(active, out);
    for (int32_t k = (int32_t)(*step % MCG_DECAY_TURNS); k < listed; k += MCG_DECAY_TURNS) {
        const int32_t o = mcg_active_at(active, k);
        int8_t *row = w + o * count;
        uint8_t *low = mcg_residual_at(residual, o * ((count * bits + 7) / 8));
        const uint32_t counter = stream + (uint32_t)o * words * MCG_COUNTER_STEP;
        for (int32_t first = 0; first < count; first += MCG_BLOCK) {
            const int32_t n = mcg_min(count - first, MCG_BLOCK);
            const uint32_t place = counter + ((uint32_t)first / 4U) * MCG_COUNTER_STEP;
            mcg_random_u16(place, n, random);
            for (int32_t i = 0; i < n; i++) {
                /* Rounded at random to what the rule can store, so that it does not round again. */
                const int32_t away = mcg_rescale(-row[first + i], factor);
                d[i] = -(((away + (random[i] >> bits)) >> (16 - bits)) * (1 << (16 - bits)));
            }
            /* Weights move towards zero: none saturates. */
            (void)rule->step(row + first, mcg_residual_at(low, first * bits / 8), d, n, first, one, counter);
        }
    }
}
