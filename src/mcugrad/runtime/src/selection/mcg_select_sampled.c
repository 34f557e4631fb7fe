/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Odds of a channel with a sum of `sum`: 65536 from `certain` on, else in proportion. */
typedef struct {
    int32_t certain;
    float share;
} mcg_select_odds_t;

/*
 * Channels with a negative sum are certain. So are those whose share of what is left of `wanted` is 1 or
 * more; the others share the rest, until none is.
 */
static mcg_select_odds_t mcg_select_odds(int32_t channels, float wanted, const int32_t *sum)
{
    mcg_select_odds_t odds = {INT32_MAX, 0.0F};
    float left = wanted;
    float before = 0.0F;
    int32_t total = 0;
    if (wanted >= (float)channels) {
        odds.certain = 1;
        return odds;
    }
    for (int32_t o = 0; o < channels; o++) {
        if (sum[o] < 0) {
            left -= 1.0F;
        } else {
            total += sum[o];
        }
    }
    while (total > 0 && left > 0.0F && left != before) {
        const float all = (float)total;
        int32_t least = odds.certain;
        before = left;
        for (int32_t o = 0; o < channels; o++) {
            if (sum[o] < odds.certain && (float)sum[o] * before >= all) {
                left -= 1.0F;
                total -= sum[o];
                least = mcg_min(least, sum[o]);
            }
        }
        odds.certain = least;
    }
    if (total > 0) {
        odds.share = left / (float)total * 65536.0F;
    }
    return odds;
}

void mcg_select_sampled(int32_t channels, const float *limits, const float *ratio, const uint32_t *seed,
                        const uint32_t *step, uint32_t tensor, const int32_t *sum, uint16_t *active,
                        int32_t *odds)
{
    const mcg_select_odds_t shares =
        mcg_select_odds(channels, mcg_select_wanted(channels, limits, *ratio), sum);
    int32_t position = (int32_t)(mcg_hash(mcg_stream(*seed, *step, tensor)) & 0xffffU);
    int32_t kept = 0;
    for (int32_t o = 0; o < channels; o++) {
        int32_t chance = 65536;
        if (sum[o] == 0) {
            continue;
        }
        if (sum[o] > 0 && sum[o] < shares.certain) {
            chance = mcg_clamp((int32_t)(shares.share * (float)sum[o]), 1, 65535);
            position += chance;
            if (position < 65536) {
                continue;
            }
            position -= 65536;
        }
        odds[kept] = chance;
        kept += 1;
        active[kept] = (uint16_t)o;
    }
    active[0] = (uint16_t)kept;
}
