/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* An error by one factor and another. */
static inline uint32_t mcg_row_product(int32_t e, const mcg_row_times_t *by)
{
    return (uint32_t)mcg_smmulr(e * by->times, by->factor);
}

/* Two errors share a word, so that the peak is exact, whatever is beyond int8, and none is made twice. */
void mcg_row_products(const int8_t *e, const mcg_row_times_t *by, const int8_t *x, int32_t count,
                      mcg_row_bounds_t *how, int8_t *e_x)
{
    const uint32_t low = how->low;
    const uint32_t high = how->high;
    uint32_t least = how->least;
    uint32_t most = how->most;
    for (int32_t i = 0; i < count; i += 4) {
        const uint32_t here = mcg_load32(x + i);
        const uint32_t above = mcg_select8(here, low, 0xffffffffU, 0);
        const uint32_t some = mcg_select8(high, here, above, 0);
        const uint32_t even =
            mcg_pkhbt(mcg_row_product(e[i], by + i), mcg_row_product(e[i + 2], by + i + 2)) &
            mcg_sxtb16(some);
        const uint32_t odd =
            mcg_pkhbt(mcg_row_product(e[i + 1], by + i + 1), mcg_row_product(e[i + 3], by + i + 3)) &
            mcg_sxtb16_odd(some);
        uint32_t four;
        least = mcg_select16(least, even, even, least);
        least = mcg_select16(least, odd, odd, least);
        most = mcg_select16(most, even, most, even);
        most = mcg_select16(most, odd, most, odd);
        four = mcg_uxtb16(mcg_ssat16(even)) | mcg_uxtb16(mcg_ssat16(odd)) << 8;
        mcg_store32(e_x + i, mcg_select8(four, 0x81818181U, four, 0x81818181U));
    }
    how->least = least;
    how->most = most;
}
