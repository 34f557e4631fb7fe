/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* An error by one factor and another. */
static inline uint32_t mcg_row_product(uint32_t e, uint32_t which, const mcg_row_times_t *by)
{
    return (uint32_t)mcg_smmulr(mcg_byte(e, which) * by[which].times, by[which].factor);
}

/* Two errors share a word, so that the peak is exact, whatever is beyond int8, and none is made twice. Where
 * x is flat, an error of 0 stays what it is. */
void mcg_row_products(const int8_t *e, const mcg_row_times_t *by, const int8_t *x, int32_t count,
                      mcg_row_bounds_t *how, int8_t *e_x)
{
    const int8_t *const end = e + count;
    const uint32_t low = how->low;
    const uint32_t high = how->high;
    uint32_t least = how->least;
    uint32_t most = how->most;
    while (e != end) {
        const uint32_t here = mcg_load32(x);
        const uint32_t above = mcg_select8(here, low, mcg_load32(e), 0);
        const uint32_t some = mcg_select8(high, here, above, 0);
        const uint32_t even = mcg_pkhbt(mcg_row_product(some, 0, by), mcg_row_product(some, 2, by));
        const uint32_t odd = mcg_pkhbt(mcg_row_product(some, 1, by), mcg_row_product(some, 3, by));
        uint32_t four;
        least = mcg_select16(least, even, even, least);
        least = mcg_select16(least, odd, odd, least);
        most = mcg_select16(most, even, most, even);
        most = mcg_select16(most, odd, most, odd);
        four = mcg_uxtb16(mcg_ssat16(even)) | mcg_uxtb16(mcg_ssat16(odd)) << 8;
        mcg_store32(e_x, mcg_select8(four, 0x81818181U, four, 0x81818181U));
        e += 4;
        x += 4;
        by += 4;
        e_x += 4;
    }
    how->least = least;
    how->most = most;
}
