/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Adds the changes of one row to its weights by the rule; whether its scale has to grow. */
static bool mcg_apply_row(const mcg_rule_t *rule, mcg_scale_t factor, uint32_t counter, int32_t count,
                          int8_t *w, uint8_t *residual, const int8_t *change, uint8_t *change_residual)
{
    int32_t value[MCG_BLOCK];
    bool saturated = false;
    for (int32_t first = 0; first < count; first += MCG_BLOCK) {
        const int32_t n = mcg_min(count - first, MCG_BLOCK);
        mcg_change_block(change + first, mcg_residual_at(change_residual, first), n, value);
        for (int32_t i = 0; i < n; i++) {
            value[i] = -value[i]; /* a rule subtracts */
        }
        saturated |= rule->step(w + first, mcg_residual_at(residual, first * rule->residual_bits / 8), value,
                                n, first, factor, counter);
    }
    return saturated;
}

/* Multiplies the changes of one row by mult / 65536, rounded at random. */
static void mcg_apply_keep(int32_t mult, uint32_t counter, int32_t count, int8_t *change,
                           uint8_t *change_residual)
{
    int32_t value[MCG_BLOCK];
    uint16_t random[MCG_BLOCK];
    for (int32_t first = 0; first < count; first += MCG_BLOCK) {
        const int32_t n = mcg_min(count - first, MCG_BLOCK);
        mcg_change_block(change + first, mcg_residual_at(change_residual, first), n, value);
        mcg_random_u16(counter + ((uint32_t)first / 4U) * MCG_COUNTER_STEP, n, random);
        for (int32_t i = 0; i < n; i++) {
            value[i] = (value[i] * mult + random[i]) >> 16;
        }
        if (change_residual == NULL) {
            for (int32_t i = 0; i < n; i++) {
                change[first + i] = (int8_t)value[i];
            }
        } else {
            for (int32_t i = 0; i < n; i++) {
                change[first + i] = (int8_t)((value[i] + 128) >> 8);
                change_residual[first + i] = (uint8_t)(value[i] + 128);
            }
        }
    }
}

/* The part of a row's change that is made: all of it, unless it is longer than the row allows. */
static float mcg_apply_clip(float limit, int32_t w_squares, float w_scale, int32_t squares, float scale)
{
    const float allowed = limit * w_scale * mcg_sqrt((float)w_squares);
    const float length = scale * mcg_sqrt((float)squares);
    return allowed < length ? allowed / length : 1.0F;
}

void mcg_apply_update(int32_t out, int32_t count, int32_t batch, int32_t momentum, const float *clip,
                      const float *rate, const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step,
                      uint32_t tensor, int8_t *w, uint8_t *residual, float *w_scale, int8_t *change,
                      uint8_t *change_residual, float *change_scale, float *kept)
{
    const uint32_t done = *step + 1U;
    const uint32_t words = ((uint32_t)count + 3U) / 4U;
    const uint32_t stream = mcg_stream(*seed, *step, tensor + MCG_STREAM_APPLY);
    const uint32_t keep_stream = mcg_stream(*seed, *step, tensor + MCG_STREAM_KEEP);
    const float unit = change_residual == NULL ? 65536.0F : 256.0F;
    if (done % (uint32_t)batch != 0U) {
        return;
    }
    for (int32_t o = 0; o < out; o++) {
        int8_t *row = w + o * count;
        int8_t *part = change + o * count;
        uint8_t *low = mcg_residual_at(residual, o * ((count * rule->residual_bits + 7) / 8));
        uint8_t *part_low = mcg_residual_at(change_residual, o * count);
        const uint32_t offset = (uint32_t)o * words * MCG_COUNTER_STEP;
        const float scale = w_scale[o];
        int32_t peak = 0;
        int32_t any = 0;
        float share = 1.0F;
        float again = (float)momentum;
        for (int32_t i = 0; i < count; i++) {
            peak = mcg_max(peak, mcg_abs(part[i]));
            any |= part[i] | (part_low == NULL ? 0 : part_low[i] ^ 128);
        }
        if (clip != NULL) {
            int32_t w_squares = 0;
            int32_t squares = 0;
            for (int32_t i = 0; i < count; i++) {
                w_squares += row[i] * row[i];
                squares += part[i] * part[i];
            }
            share = mcg_apply_clip(*clip * *rate, mcg_max(w_squares, count), scale, squares, change_scale[o]);
            kept[o] = share;
        }
        if (any != 0 && mcg_apply_row(rule, mcg_scale_from_float(change_scale[o] / scale * share * unit),
                                      stream + offset, count, row, low, part, part_low)) {
            rule->grow(row, low, count);
            w_scale[o] *= MCG_GROWTH;
        }
        again = again * share;
        if (mcg_plane_shrinks(done / (uint32_t)batch, peak, change_scale[o], scale)) {
            change_scale[o] = change_scale[o] / MCG_GROWTH;
            again = again * MCG_GROWTH;
        }
        if (any != 0) {
            mcg_apply_keep(mcg_round(again, 1 << 17), keep_stream + offset, count, part, part_low);
        }
    }
}
