/* SPDX-License-Identifier: Apache-2.0 */
/* The instructions of mcg_simd.h for tests, on arrays; and which body a build takes. */
#include "mcugrad/mcg_all.h"

int32_t probe_body(void);

int32_t probe_body(void) { return MCG_HAS_DSP + 2 * MCG_HAS_AVX2 + 3 * MCG_HAS_ARMV6M + 4 * MCG_HAS_MVE; }

#if MCG_HAS_DSP
#define PROBE(name, ...)                                                                      \
    void probe_##name(int32_t count, const uint32_t *a, const uint32_t *b, const uint32_t *c, \
                      const uint32_t *d, uint32_t *result, uint32_t *q);                      \
    void probe_##name(int32_t count, const uint32_t *a, const uint32_t *b, const uint32_t *c, \
                      const uint32_t *d, uint32_t *result, uint32_t *q)                       \
    {                                                                                         \
        for (int32_t i = 0; i < count; i++) {                                                 \
            (void)(a[i] + b[i] + c[i] + d[i]);                                                \
            mcg_q_clear();                                                                    \
            result[i] = (uint32_t)mcg_##name(__VA_ARGS__);                                    \
            q[i] = mcg_q_is_set() ? 1U : 0U;                                                  \
        }                                                                                     \
    }

PROBE(sxtb16, a[i])
PROBE(sxtb16_odd, a[i])
PROBE(uxtb16, a[i])
PROBE(uxtb16_odd, a[i])
PROBE(uxtab16, a[i], b[i])
PROBE(uxtab16_odd, a[i], b[i])
PROBE(sxtab16, a[i], b[i])
PROBE(sxtab16_odd, a[i], b[i])
PROBE(pkhbt, a[i], b[i])
PROBE(pkhtb, a[i], b[i])
PROBE(smulbb, a[i], b[i])
PROBE(smultb, a[i], b[i])
PROBE(smlad, a[i], b[i], (int32_t)c[i])
PROBE(smmulr, (int32_t)a[i], (int32_t)b[i])
PROBE(smmlsr, (int32_t)a[i], (int32_t)b[i], (int32_t)c[i])
PROBE(ssat, (int32_t)a[i])
PROBE(ssat16, a[i])
PROBE(usat16, a[i])
PROBE(select16, a[i], b[i], c[i], d[i])
PROBE(select8, a[i], b[i], c[i], d[i])
PROBE(abs8, a[i])
PROBE(qadd8, a[i], b[i])
PROBE(has_lowest, a[i])

void probe_load32(const uint8_t *from, uint8_t *to);
void probe_load32(const uint8_t *from, uint8_t *to) { mcg_store32(to, mcg_load32(from)); }
#endif
