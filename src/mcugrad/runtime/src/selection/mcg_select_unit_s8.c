/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Largest magnitude of a channel's errors. */
static int32_t mcg_select_peak(int32_t pixels, int32_t channels, const int8_t *e)
{
    int32_t highest = 0;
    for (int32_t i = 0; i < pixels; i++) {
        highest = mcg_max(highest, mcg_abs(*e));
        e += channels;
    }
    return highest;
}

void mcg_select_unit_s8(int32_t pixels, int32_t channels, const int8_t *e, const uint16_t *active,
                        const float *c, int32_t *factor, float *unit)
{
    const int32_t kept = active[0];
    bool drawn = false;
    float highest = 0.0F;
    for (int32_t k = 0; k < kept; k++) {
        drawn |= factor[k] < 65536;
    }
    unit[0] = c[0];
    unit[1] = c[1];
    if (!drawn) {
        return; /* all factors are 1 */
    }
    for (int32_t k = 0; k < kept; k++) {
        const float peak = (float)mcg_select_peak(pixels, channels, e + active[1 + k]);
        const float weighed = 65536.0F / (float)factor[k] * peak;
        highest = weighed > highest ? weighed : highest;
    }
    for (int32_t k = 0; k < kept; k++) {
        factor[k] = mcg_round(65536.0F / (float)factor[k] / highest * 8323072.0F, (int32_t)1 << 24);
    }
    unit[0] = c[0] * (highest / 127.0F);
    unit[1] = 1.0F;
}
