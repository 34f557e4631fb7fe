/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_select_sampled(int32_t channels, const float *limits, const float *ratio, const uint32_t *seed,
                        const uint32_t *step, uint32_t tensor, const int32_t *sum, const uint8_t *peak,
                        const float *c, uint16_t *active, int32_t *factor, float *unit)
{
    int32_t left = mcg_select_wanted(channels, limits, *ratio);
    int32_t total = 0;
    int32_t certain = INT32_MAX; /* channels with a sum from here on take part for certain */
    int32_t position;
    int32_t kept = 0;
    bool rare = false;
    float share = 0.0F;
    float highest = 0.0F;
    for (int32_t o = 0; o < channels; o++) {
        total += sum[o];
    }
    for (int32_t before = 0; total > 0 && left != before;) {
        const int32_t least = (total + left - 1) / left;
        before = left;
        for (int32_t o = 0; o < channels; o++) {
            if (sum[o] >= least && sum[o] < certain) {
                left -= 1;
                total -= sum[o];
            }
        }
        certain = least;
    }
    if (total > 0) {
        share = (float)left / (float)total * 65536.0F;
    }
    position = (int32_t)(mcg_hash(mcg_stream(*seed, *step, tensor)) & 0xffffU);
    for (int32_t o = 0; o < channels; o++) {
        int32_t odds = 65536;
        float inverse;
        if (sum[o] == 0) {
            continue;
        }
        if (sum[o] < certain) {
            odds = mcg_clamp((int32_t)(share * (float)sum[o]), 1, 65535);
            position += odds;
            if (position < 65536) {
                continue;
            }
            position -= 65536;
            rare = true;
        }
        inverse = 65536.0F / (float)odds * (float)peak[o];
        highest = inverse > highest ? inverse : highest;
        factor[kept] = odds;
        kept += 1;
        active[kept] = (uint16_t)o;
    }
    active[0] = (uint16_t)kept;
    *unit = rare ? *c * (highest / 127.0F) : *c;
    for (int32_t k = 0; k < kept; k++) {
        if (rare) {
            factor[k] = mcg_round(65536.0F / (float)factor[k] / highest * 8323072.0F, (int32_t)1 << 24);
        }
    }
}
