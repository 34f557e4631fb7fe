/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Errors of two elements in one word. */
static inline uint32_t mcg_lookup_two(uint32_t e, const int8_t *x, const int16_t *middle, uint32_t which,
                                      int32_t factor)
{
    const int32_t first = mcg_smmulr(mcg_byte(e, which) * middle[x[which]], factor);
    const int32_t second = mcg_smmulr(mcg_byte(e, which + 2U) * middle[x[which + 2U]], factor);
    return mcg_pkhbt((uint32_t)first, (uint32_t)second);
}

/* Fours, two of which share a word, so that the peak is exact, whatever is beyond int8; it is returned. */
static int32_t mcg_lookup_fours(int32_t count, const int8_t *e, const int8_t *x, const int16_t *middle,
                                int32_t factor, int8_t *e_x)
{
    const int8_t *const end = e + count;
    mcg_row_bounds_t how = {0, 0, 0, 0};
    while (e != end) {
        const uint32_t errors = mcg_load32(e);
        const uint32_t even = mcg_lookup_two(errors, x, middle, 0, factor);
        const uint32_t odd = mcg_lookup_two(errors, x, middle, 1, factor);
        const uint32_t four = mcg_uxtb16(mcg_ssat16(even)) | mcg_uxtb16(mcg_ssat16(odd)) << 8;
        how.least = mcg_select16(how.least, even, even, how.least);
        how.least = mcg_select16(how.least, odd, odd, how.least);
        how.most = mcg_select16(how.most, even, how.most, even);
        how.most = mcg_select16(how.most, odd, how.most, odd);
        mcg_store32(e_x, mcg_select8(four, 0x81818181U, four, 0x81818181U));
        e += 4;
        x += 4;
        e_x += 4;
    }
    return mcg_row_peak(&how);
}

void mcg_lookup_grad_s8(int32_t count, const int8_t *e, const int8_t *x, const int16_t *slope,
                        const mcg_scale_t *scale, int8_t *e_x, int32_t *peak)
{
    const int16_t *const middle = slope + 128;
    const mcg_scale_t to_error = *scale;
    const int32_t factor = (int32_t)((uint32_t)to_error.mult << (32U - to_error.shift));
    /* The largest product, of 2^22, is to fit into half a word. */
    const bool halves = to_error.pre == 0 && mcg_smmulr((int32_t)1 << 22, factor) <= 32767;
    const int32_t whole = halves ? count & ~3 : 0;
    int32_t highest = mcg_lookup_fours(whole, e, x, middle, factor, e_x);
    for (int32_t i = whole; i < count; i++) {
        const int32_t error = mcg_rescale(e[i] * middle[x[i]], to_error);
        highest = mcg_max(highest, mcg_abs(error));
        e_x[i] = (int8_t)mcg_clamp(error, -127, 127);
    }
    *peak = highest;
}
