/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Whether no change of a row was kept since the last batch. */
static bool mcg_standardized_rests(const int8_t *change, const uint8_t *residual, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (change[i] != 0 || (residual != NULL && residual[i] != 128)) {
            return false;
        }
    }
    return true;
}

/* What the standardized changes of a row are multiplied by: nothing moves in one that took no part. */
static float mcg_standardized_rate(float rate, bool rests, float deviation)
{
    return !rests && deviation > 1.0e-20F ? rate / deviation : 0.0F;
}

/* Mean and deviation of the changes of one row, in units of the plane. */
static void mcg_standardized_row(const int8_t *change, uint8_t *residual, int32_t count, float *mean,
                                 float *deviation)
{
    int32_t value[MCG_BLOCK];
    float sum = 0.0F;
    float squares = 0.0F;
    for (int32_t first = 0; first < count; first += MCG_BLOCK) {
        const int32_t n = mcg_min(count - first, MCG_BLOCK);
        mcg_change_block(change + first, mcg_residual_at(residual, first), n, value);
        for (int32_t i = 0; i < n; i++) {
            sum = sum + (float)value[i];
        }
    }
    *mean = sum / (float)count;
    for (int32_t first = 0; first < count; first += MCG_BLOCK) {
        const int32_t n = mcg_min(count - first, MCG_BLOCK);
        mcg_change_block(change + first, mcg_residual_at(residual, first), n, value);
        for (int32_t i = 0; i < n; i++) {
            const float away = (float)value[i] - *mean;
            squares = squares + away * away;
        }
    }
    *deviation = mcg_sqrt(squares / (float)count);
}

/* New real weights of up to MCG_BLOCK places. */
static void mcg_standardized_block(const int8_t *w, float w_scale, int32_t w_zero, const int8_t *change,
                                   const uint8_t *residual, int32_t count, float unit, float mean, float rate,
                                   float *real)
{
    int32_t value[MCG_BLOCK];
    mcg_change_block(change, residual, count, value);
    for (int32_t i = 0; i < count; i++) {
        real[i] = (float)(w[i] - w_zero) * w_scale + ((float)value[i] * unit - mean) * rate;
    }
}

/* The moving mean and deviation of a row, in real units, after a batch that it took part in. */
static void mcg_standardized_follow(const int8_t *change, uint8_t *residual, int32_t count, float unit,
                                    float *mean, float *deviation)
{
    float here;
    float spread;
    mcg_standardized_row(change, residual, count, &here, &spread);
    here = here * unit;
    spread = spread * unit;
    if (*deviation > 0.0F) {
        here = *mean * MCG_MOVING + here * (1.0F - MCG_MOVING);
        spread = *deviation * MCG_MOVING + spread * (1.0F - MCG_MOVING);
    }
    *mean = here;
    *deviation = spread;
}

/* Forgets the changes of a row; the largest of them. */
static int32_t mcg_standardized_clear(int8_t *change, uint8_t *residual, int32_t count)
{
    int32_t peak = 0;
    for (int32_t i = 0; i < count; i++) {
        peak = mcg_max(peak, mcg_abs(change[i]));
        change[i] = 0;
        if (residual != NULL) {
            residual[i] = 128;
        }
    }
    return peak;
}

void mcg_apply_standardized(int32_t out, int32_t count, int32_t batch, const float *rate,
                            const uint32_t *step, int8_t *w, float *w_scale, int32_t *w_zero, int8_t *change,
                            uint8_t *change_residual, float *change_scale, float *mean, float *deviation)
{
    const uint32_t done = *step + 1U;
    const float part = change_residual == NULL ? 1.0F : 1.0F / 256.0F;
    const int32_t old_zero = *w_zero;
    float real[MCG_BLOCK];
    float low = 0.0F;
    float high = 0.0F;
    float scale;
    int32_t zero;
    if (done % (uint32_t)batch != 0U) {
        return;
    }
    /* First the range of the new weights, then the weights: they are computed twice, and stored nowhere. */
    for (int32_t o = 0; o < out; o++) {
        const int32_t place = o * count;
        const float unit = change_scale[o] * part;
        uint8_t *residual = mcg_residual_at(change_residual, place);
        const bool rests = mcg_standardized_rests(change + place, residual, count);
        float by;
        if (!rests) {
            mcg_standardized_follow(change + place, residual, count, unit, &mean[o], &deviation[o]);
        }
        by = mcg_standardized_rate(*rate, rests, deviation[o]);
        for (int32_t first = 0; first < count; first += MCG_BLOCK) {
            const int32_t n = mcg_min(count - first, MCG_BLOCK);
            mcg_standardized_block(w + place + first, w_scale[o], old_zero, change + place + first,
                                   mcg_residual_at(residual, first), n, unit, mean[o], by, real);
            for (int32_t i = 0; i < n; i++) {
                low = real[i] < low ? real[i] : low;
                high = real[i] > high ? real[i] : high;
            }
        }
    }
    scale = (high - low) / 255.0F;
    zero = scale > 1.0e-30F ? mcg_clamp(mcg_round(-low / scale, 512) - 128, -128, 127) : old_zero;
    for (int32_t o = 0; o < out; o++) {
        const int32_t place = o * count;
        const float unit = change_scale[o] * part;
        uint8_t *residual = mcg_residual_at(change_residual, place);
        const bool rests = mcg_standardized_rests(change + place, residual, count);
        const float by = mcg_standardized_rate(*rate, rests, deviation[o]);
        int32_t peak;
        for (int32_t first = 0; scale > 1.0e-30F && first < count; first += MCG_BLOCK) {
            const int32_t n = mcg_min(count - first, MCG_BLOCK);
            mcg_standardized_block(w + place + first, w_scale[o], old_zero, change + place + first,
                                   mcg_residual_at(residual, first), n, unit, mean[o], by, real);
            for (int32_t i = 0; i < n; i++) {
                w[place + first + i] = (int8_t)mcg_clamp(mcg_round(real[i] / scale, 512) + zero, -128, 127);
            }
        }
        peak = mcg_standardized_clear(change + place, residual, count);
        if (scale > 1.0e-30F) {
            w_scale[o] = scale;
        }
        if (mcg_plane_shrinks(done / (uint32_t)batch, peak, change_scale[o], 1.0e-20F)) {
            change_scale[o] = change_scale[o] / MCG_GROWTH;
        }
    }
    *w_zero = zero;
}
