/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* One weight: w - d / 65536, rounded at random. */
static inline int32_t mcg_sr8_weight(int8_t *w, int32_t random, int32_t d)
{
    const int32_t v = (*w * 65536 + random + d) >> 16;
    const int32_t kept = mcg_clamp(v, -127, 127);
    *w = (int8_t)kept;
    return v ^ kept;
}

bool mcg_sr8_step(int8_t *MCG_RESTRICT w, uint8_t *MCG_RESTRICT residual,
                  const int32_t *MCG_RESTRICT gradient, int32_t count, int32_t first, mcg_scale_t factor,
                  uint32_t counter)
{
    int32_t over = 0;
    (void)residual;
    /* Loops are rolled: where cores have assembler, this is seldom called, from deep in the stack. */
    for (int32_t start = 0; start < count; start += MCG_DRAWN) {
        uint16_t random[MCG_DRAWN];
        const int32_t n = mcg_min(count - start, MCG_DRAWN);
        mcg_random_u16(counter + ((uint32_t)(first + start) / 4U) * MCG_COUNTER_STEP, n, random);
        if (factor.pre == 0) { /* nearly always; with the test out of the loop both loops vectorise */
            MCG_ROLLED
            for (int32_t i = 0; i < n; i++) {
                over |= mcg_sr8_weight(w + i, random[i], mcg_rescale_core(-gradient[i], factor));
            }
        } else {
            MCG_ROLLED
            for (int32_t i = 0; i < n; i++) {
                over |= mcg_sr8_weight(w + i, random[i], mcg_rescale(-gradient[i], factor));
            }
        }
        w += n;
        gradient += n;
    }
    return over != 0;
}
