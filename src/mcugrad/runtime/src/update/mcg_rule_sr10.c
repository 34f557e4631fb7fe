/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* The residual bits of up to MCG_DRAWN weights, four in a byte, as one byte each. Bits behind the last
 * weight of a row come along and go back as they are. */
static inline void mcg_sr10_unpack(const uint8_t *MCG_RESTRICT residual, int32_t count,
                                   uint8_t *MCG_RESTRICT low)
{
    const int32_t bytes = (count + 3) / 4;
    for (int32_t i = 0; i < bytes; i++) {
        low[4 * i] = residual[i] & 3U;
        low[4 * i + 1] = (residual[i] >> 2) & 3U;
        low[4 * i + 2] = (residual[i] >> 4) & 3U;
        low[4 * i + 3] = residual[i] >> 6;
    }
}

static inline void mcg_sr10_pack(const uint8_t *MCG_RESTRICT low, int32_t count,
                                 uint8_t *MCG_RESTRICT residual)
{
    const int32_t bytes = (count + 3) / 4;
    for (int32_t i = 0; i < bytes; i++) {
        residual[i] = (uint8_t)(low[4 * i] | low[4 * i + 1] << 2 | low[4 * i + 2] << 4 | low[4 * i + 3] << 6);
    }
}

/* One weight: the master value is 4 w + low - 2, so that w is it rounded to nearest. */
static inline int32_t mcg_sr10_weight(int8_t *w, uint8_t *low, int32_t random, int32_t d)
{
    const int32_t v = *w * 4 + *low + ((d + (random >> 2)) >> 14);
    const int32_t kept = mcg_clamp(v, -127 * 4, 127 * 4 + 3);
    *w = (int8_t)(kept >> 2);
    *low = (uint8_t)(kept & 3);
    return v ^ kept;
}

static bool mcg_sr10_step(int8_t *MCG_RESTRICT w, uint8_t *MCG_RESTRICT residual,
                          const int32_t *MCG_RESTRICT gradient, int32_t count, int32_t first,
                          mcg_scale_t factor, uint32_t counter)
{
    int32_t over = 0;
    for (int32_t start = 0; start < count; start += MCG_DRAWN) {
        uint16_t random[MCG_DRAWN];
        uint8_t low[MCG_DRAWN];
        const int32_t n = mcg_min(count - start, MCG_DRAWN);
        mcg_random_u16(counter + ((uint32_t)(first + start) / 4U) * MCG_COUNTER_STEP, n, random);
        mcg_sr10_unpack(residual, n, low);
        if (factor.pre == 0) { /* nearly always; with the test out of the loop both loops vectorise */
            for (int32_t i = 0; i < n; i++) {
                over |= mcg_sr10_weight(w + i, low + i, random[i], mcg_rescale_core(-gradient[i], factor));
            }
        } else {
            for (int32_t i = 0; i < n; i++) {
                over |= mcg_sr10_weight(w + i, low + i, random[i], mcg_rescale(-gradient[i], factor));
            }
        }
        mcg_sr10_pack(low, n, residual);
        w += n;
        gradient += n;
        residual += MCG_DRAWN / 4;
    }
    return over != 0;
}

static void mcg_sr10_grow(int8_t *w, uint8_t *residual, int32_t count)
{
    for (int32_t start = 0; start < count; start += MCG_DRAWN) {
        uint8_t low[MCG_DRAWN];
        const int32_t n = mcg_min(count - start, MCG_DRAWN);
        mcg_sr10_unpack(residual, n, low);
        for (int32_t i = 0; i < n; i++) {
            const int32_t master = w[i] * 4 + low[i] - 2;
            const int32_t v = ((master * MCG_SHRINK + 0x8000) >> 16) + 2;
            w[i] = (int8_t)(v >> 2);
            low[i] = (uint8_t)(v & 3);
        }
        mcg_sr10_pack(low, n, residual);
        w += n;
        residual += MCG_DRAWN / 4;
    }
}

const mcg_rule_t mcg_rule_sr10 = {mcg_sr10_step, mcg_sr10_grow, 2, true};
