/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Errors whose products are made together: where one of them saturates, these are done one by one. */
#define MCG_LOOKUP_RUN 16

/* An error as it saturates, with the flag Q. */
static inline uint32_t mcg_lookup_one(int32_t e, int32_t slope, int32_t factor)
{
    return (uint32_t)mcg_ssat(mcg_smmulr(e * slope, factor)) & 0xffU;
}

/* Fours; false where one saturated: e_x may be e, so nothing is written before that is known. */
static bool mcg_lookup_fours(int32_t count, const int8_t *e, const int8_t *x, const int16_t *middle,
                             int32_t factor, uint32_t *ends, int8_t *e_x)
{
    uint32_t found[MCG_LOOKUP_RUN / 4];
    uint32_t low = ends[0];
    uint32_t high = ends[1];
    mcg_q_clear();
    for (int32_t i = 0; i < count; i += 4) {
        uint32_t four = mcg_lookup_one(e[i], middle[x[i]], factor);
        four |= mcg_lookup_one(e[i + 1], middle[x[i + 1]], factor) << 8;
        four |= mcg_lookup_one(e[i + 2], middle[x[i + 2]], factor) << 16;
        four |= mcg_lookup_one(e[i + 3], middle[x[i + 3]], factor) << 24;
        low = mcg_select8(low, four, four, low);
        high = mcg_select8(high, four, high, four);
        found[i / 4] = four;
    }
    if (mcg_q_is_set() || mcg_has_lowest(low)) {
        return false;
    }
    for (int32_t i = 0; i < count; i += 4) {
        mcg_store32(e_x + i, found[i / 4]);
    }
    ends[0] = low;
    ends[1] = high;
    return true;
}

void mcg_lookup_grad_s8(int32_t count, const int8_t *e, const int8_t *x, const int16_t *slope,
                        const mcg_scale_t *scale, int8_t *e_x, int32_t *peak)
{
    const int16_t *const middle = slope + 128;
    const mcg_scale_t to_error = *scale;
    const int32_t factor = (int32_t)((uint32_t)to_error.mult << (32U - to_error.shift));
    uint32_t ends[2] = {0, 0};
    int32_t highest = 0;
    for (int32_t i = 0; i < count;) {
        const int32_t some = mcg_min(count - i, MCG_LOOKUP_RUN);
        const int32_t end = i + some;
        if (to_error.pre == 0 && (some & 3) == 0 &&
            mcg_lookup_fours(some, e + i, x + i, middle, factor, ends, e_x + i)) {
            i = end;
            continue;
        }
        for (; i < end; i++) {
            const int32_t error = mcg_rescale(e[i] * middle[x[i]], to_error);
            highest = mcg_max(highest, mcg_abs(error));
            e_x[i] = (int8_t)mcg_clamp(error, -127, 127);
        }
    }
    for (uint32_t i = 0; i < 4U; i++) {
        highest = mcg_max(highest, mcg_max(mcg_byte(ends[1], i), -mcg_byte(ends[0], i)));
    }
    *peak = highest;
}
