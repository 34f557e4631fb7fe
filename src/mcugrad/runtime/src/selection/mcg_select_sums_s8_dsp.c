/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Pixels whose magnitudes fit into halves of words together. */
#define MCG_SELECT_PIXELS 511

/* Sums of four neighbouring channels: two share a word. */
static void mcg_select_four(int32_t pixels, int32_t channels, const int8_t *e, int32_t *sum)
{
    sum[0] = sum[1] = sum[2] = sum[3] = 0;
    while (pixels > 0) {
        const int32_t some = mcg_min(pixels, MCG_SELECT_PIXELS);
        const int8_t *const end = e + (some & ~3) * channels;
        uint32_t even = 0;
        uint32_t odd = 0;
        while (e != end) {
            for (int32_t i = 0; i < 4; i++) {
                const uint32_t four = mcg_abs8(mcg_load32(e));
                even = mcg_uxtab16(even, four);
                odd = mcg_uxtab16_odd(odd, four);
                e += channels;
            }
        }
        for (int32_t i = 0; i < (some & 3); i++) {
            const uint32_t four = mcg_abs8(mcg_load32(e));
            even = mcg_uxtab16(even, four);
            odd = mcg_uxtab16_odd(odd, four);
            e += channels;
        }
        sum[0] += (int32_t)(even & 0xffffU);
        sum[1] += (int32_t)(odd & 0xffffU);
        sum[2] += (int32_t)(even >> 16);
        sum[3] += (int32_t)(odd >> 16);
        pixels -= some;
    }
}

void mcg_select_sums_s8(int32_t pixels, int32_t channels, const int8_t *e, int32_t *sum)
{
    int32_t o = 0;
    for (; o < channels - 3; o += 4) {
        mcg_select_four(pixels, channels, e + o, sum + o);
    }
    for (; o < channels; o++) {
        int32_t total = 0;
        for (int32_t i = 0; i < pixels; i++) {
            total += mcg_abs(e[i * channels + o]);
        }
        sum[o] = total;
    }
}
