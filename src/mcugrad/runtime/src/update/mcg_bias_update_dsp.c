/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Pixels whose errors fit into halves of words together. */
#define MCG_BIAS_PIXELS 255

/* Sums of four neighbouring channels: two share a word. */
static void mcg_bias_four(int32_t pixels, int32_t count, const int8_t *e, int32_t *sum)
{
    sum[0] = sum[1] = sum[2] = sum[3] = 0;
    while (pixels > 0) {
        const int32_t some = mcg_min(pixels, MCG_BIAS_PIXELS);
        uint32_t even = 0;
        uint32_t odd = 0;
        for (int32_t i = 0; i < some; i++) {
            const uint32_t four = mcg_load32(e);
            even = mcg_sxtab16(even, four);
            odd = mcg_sxtab16_odd(odd, four);
            e += count;
        }
        sum[0] += mcg_half(even, 0);
        sum[1] += mcg_half(odd, 0);
        sum[2] += mcg_half(even, 1);
        sum[3] += mcg_half(odd, 1);
        pixels -= some;
    }
}

void mcg_bias_update(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                     const int32_t *odds, const float *rate, const float *c, const float *w_scale,
                     float *bias)
{
    const float ratio = *rate * *c;
    const int32_t count = mcg_active_count(active, channels);
    int32_t sums[4];
    for (int32_t k = 0; k < count; k++) {
        const int32_t o = mcg_active_at(active, k);
        float share = ratio / w_scale[o];
        int32_t sum = 0;
        if ((k & ~3) + 4 <= count) {
            if ((k & 3) == 0) {
                mcg_bias_four(pixels, count, e + k, sums);
            }
            sum = sums[k & 3];
        } else {
            for (int32_t i = 0; i < pixels; i++) {
                sum += e[i * count + k];
            }
        }
        if (odds != NULL) {
            share *= 65536.0F / (float)odds[k];
        }
        bias[o] -= share * (float)sum;
    }
}
