/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that are beyond int8, or have factors that are shifted before, four at a time, by the DSP extension.
 */
#ifndef MCG_BEYOND_H
#define MCG_BEYOND_H

#include "mcg_panels.h"

#if MCG_HAS_DSP
/** Factors of four channels, and the smallest and largest error so far, whatever is beyond int8. */
typedef struct {
    int32_t factor[4];
    uint32_t pre[4];
    int32_t least, most;
} mcg_panel_beyond_t;

/** For mcg_panel_error_t: by how many bits sums can be shifted of which the largest may be this. */
static inline int32_t mcg_panel_pre(float largest)
{
    int32_t pre = -1;
    while (pre < 22 && largest < (float)MCG_ACC_LIMIT) {
        largest *= 2.0F;
        pre++;
    }
    return pre;
}

/** Factors of four channels; false where a sum might have to be clamped. */
static inline bool mcg_panel_beyond_factors(const mcg_scale_t *scale, const mcg_panel_error_t *how,
                                            mcg_panel_beyond_t *b)
{
    bool fits = true;
    for (int32_t i = 0; i < 4; i++) {
        b->factor[i] = (int32_t)((uint32_t)scale[i].mult << (32U - scale[i].shift));
        b->pre[i] = scale[i].pre;
        fits = fits && scale[i].pre <= how->pre;
    }
    return fits;
}

/** A sum to an error; the byte it is, from -127 to 127. `some` is 0 where x is flat, else -1. */
static inline uint32_t mcg_panel_beyond_one(int32_t sum, int32_t some, int32_t i, mcg_panel_beyond_t *b)
{
    const int32_t error = some & mcg_smmulr((int32_t)((uint32_t)sum << b->pre[i]), b->factor[i]);
    b->least = mcg_min(b->least, error);
    b->most = mcg_max(b->most, error);
    return (uint32_t)mcg_ssat(error) & 0xffU;
}

/** Sums of four channels, `step` from one to the next, to four errors. */
static inline uint32_t mcg_panel_beyond(const int32_t *sums, int32_t step, uint32_t x,
                                        const mcg_panel_error_t *how, mcg_panel_beyond_t *b)
{
    const uint32_t above = mcg_select8(x, how->low, 0xffffffffU, 0);
    const uint32_t some = mcg_select8(how->high, x, above, 0);
    uint32_t four = mcg_panel_beyond_one(sums[0], mcg_byte(some, 0), 0, b);
    four |= mcg_panel_beyond_one(sums[step], mcg_byte(some, 1), 1, b) << 8;
    four |= mcg_panel_beyond_one(sums[2 * step], mcg_byte(some, 2), 2, b) << 16;
    four |= mcg_panel_beyond_one(sums[3 * step], mcg_byte(some, 3), 3, b) << 24;
    return mcg_select8(four, 0x81818181U, four, 0x81818181U);
}

#endif /* MCG_HAS_DSP */

#endif /* MCG_BEYOND_H */
