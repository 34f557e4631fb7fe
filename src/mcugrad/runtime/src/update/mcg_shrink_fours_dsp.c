/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* One of four weights: w - (1 - shrink) w, rounded half up after the difference. */
static inline uint32_t mcg_shrunk(uint32_t four, uint32_t which)
{
    const int32_t w = mcg_byte(four, which);
    return (uint32_t)mcg_smmlsr(w, (65536 - MCG_SHRINK) * 65536, w) & 0xffU;
}

int32_t mcg_shrink_fours(int8_t *w, int32_t count)
{
    const int32_t whole = count & ~3;
    for (int8_t *const end = w + whole; w != end; w += 4) {
        const uint32_t four = mcg_load32(w);
        mcg_store32(w, mcg_shrunk(four, 0) | mcg_shrunk(four, 1) << 8 | mcg_shrunk(four, 2) << 16 |
                           mcg_shrunk(four, 3) << 24);
    }
    return whole;
}
