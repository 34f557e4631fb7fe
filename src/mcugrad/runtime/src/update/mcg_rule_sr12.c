/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* The residual bits of up to MCG_DRAWN weights, two in a byte, as one byte each. Bits behind the last
 * weight of a row come along and go back as they are. */
static inline void mcg_sr12_unpack(const uint8_t *MCG_RESTRICT residual, int32_t count,
                                   uint8_t *MCG_RESTRICT low)
{
    const int32_t bytes = (count + 1) / 2;
    for (int32_t i = 0; i < bytes; i++) {
        low[2 * i] = residual[i] & 15U;
        low[2 * i + 1] = residual[i] >> 4;
    }
}

static inline void mcg_sr12_pack(const uint8_t *MCG_RESTRICT low, int32_t count,
                                 uint8_t *MCG_RESTRICT residual)
{
    const int32_t bytes = (count + 1) / 2;
    for (int32_t i = 0; i < bytes; i++) {
        residual[i] = (uint8_t)(low[2 * i] | low[2 * i + 1] << 4);
    }
}

/* One weight: the master value is 16 w + low - 8, so that w is it rounded to nearest. */
static inline int32_t mcg_sr12_weight(int8_t *w, uint8_t *low, int32_t random, int32_t d)
{
    const int32_t v = *w * 16 + *low + ((d + (random >> 4)) >> 12);
    const int32_t kept = mcg_clamp(v, -127 * 16, 127 * 16 + 15);
    *w = (int8_t)(kept >> 4);
    *low = (uint8_t)(kept & 15);
    return v ^ kept;
}

static bool mcg_sr12_step(int8_t *MCG_RESTRICT w, uint8_t *MCG_RESTRICT residual,
                          const int32_t *MCG_RESTRICT gradient, int32_t count, int32_t first,
                          mcg_scale_t factor, uint32_t counter)
{
    int32_t over = 0;
    for (int32_t start = 0; start < count; start += MCG_DRAWN) {
        uint16_t random[MCG_DRAWN];
        uint8_t low[MCG_DRAWN];
        const int32_t n = mcg_min(count - start, MCG_DRAWN);
        mcg_random_u16(counter + ((uint32_t)(first + start) / 4U) * MCG_COUNTER_STEP, n, random);
        mcg_sr12_unpack(residual, n, low);
        if (factor.pre == 0) { /* nearly always; with the test out of the loop both loops vectorise */
            for (int32_t i = 0; i < n; i++) {
                over |= mcg_sr12_weight(w + i, low + i, random[i], mcg_rescale_core(-gradient[i], factor));
            }
        } else {
            for (int32_t i = 0; i < n; i++) {
                over |= mcg_sr12_weight(w + i, low + i, random[i], mcg_rescale(-gradient[i], factor));
            }
        }
        mcg_sr12_pack(low, n, residual);
        w += n;
        gradient += n;
        residual += MCG_DRAWN / 2;
    }
    return over != 0;
}

/* A master value in the new unit. */
static inline int32_t mcg_sr12_shrunk(int32_t w, int32_t low)
{
    return (((w * 16 + low - 8) * MCG_SHRINK + 0x8000) >> 16) + 8;
}

static void mcg_sr12_grow(int8_t *w, uint8_t *residual, int32_t count)
{
    for (int32_t i = 0; i < count; i += 2) {
        const int32_t both = *residual;
        const int32_t a = mcg_sr12_shrunk(w[i], both & 15);
        int32_t b = both >> 4;
        w[i] = (int8_t)(a >> 4);
        if (i + 1 < count) {
            b = mcg_sr12_shrunk(w[i + 1], b);
            w[i + 1] = (int8_t)(b >> 4);
        }
        *residual++ = (uint8_t)((a & 15) | (b & 15) << 4);
    }
}

const mcg_rule_t mcg_rule_sr12 = {mcg_sr12_step, mcg_sr12_grow, 4, true};
