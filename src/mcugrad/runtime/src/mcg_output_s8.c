/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

/* acc times a factor of outputs, both rounded to float32, then to the nearest integer. */
static inline int32_t mcg_rescale_float(int32_t acc, float factor)
{
    return mcg_nearest((float)acc * factor);
}

/*
 * Whether the product, its last bits cut off, tells the nearest integer of acc * mantissa * 2^-(16 + shift),
 * and which it is. It does but close to a tie. |acc| < 2^22, 11 <= shift <= 31.
 */
static inline bool mcg_rescale_cut(int32_t acc, uint32_t bits, int32_t shift, int32_t *value)
{
    const uint32_t mantissa = (bits & 0x7fffffU) | 0x800000U;
    const uint32_t low = (uint32_t)acc & 0xffffU;
    const uint32_t product = (uint32_t)((acc >> 16) * (int32_t)mantissa) + low * (mantissa >> 16) +
                             ((low * (bits & 0xffffU)) >> 16);
    const uint32_t fraction = product << (32 - shift);
    *value = ((int32_t)product >> shift) + (int32_t)(fraction >> 31);
    /* In 2^-32 of a step: the cut-off costs 2^21 at most, float32 2^18 for outputs below 512. */
    return fraction - 0x7fc00000U >= 0x800000U && (uint32_t)(*value + 512) < 1024U;
}

/* What the short way below does not tell, one output in 512. Apart, or all outputs would pay for its
 * registers. */
MCG_APART static int32_t mcg_rescale_rare(int32_t acc, float factor)
{
    const uint32_t bits = mcg_float_bits(factor);
    const int32_t shift = 134 - (int32_t)(bits >> 23);
    if (shift >= 0 && shift < 11 && acc < 4096 && acc > -4096) {
        /* A large factor and a small sum, as a joint's or a mean's. */
        const int32_t large = acc * ((int32_t)1 << (11 - shift));
        int32_t value;
        if ((uint32_t)large + 0x400000U < 0x800000U && mcg_rescale_cut(large, bits, 11, &value)) {
            return value;
        }
    }
    return mcg_rescale_float(acc, factor);
}

/* The same by integers, for |acc| < 2^30. */
static inline int32_t mcg_rescale_integer(int32_t acc, float factor)
{
    const uint32_t bits = mcg_float_bits(factor);
    const int32_t shift = 134 - (int32_t)(bits >> 23);
    int32_t value;
    if ((uint32_t)(shift - 11) <= 20U && (uint32_t)acc + 0x400000U < 0x800000U &&
        mcg_rescale_cut(acc, bits, shift, &value)) {
        return value;
    }
    return mcg_rescale_rare(acc, factor);
}

/* The same, as is shortest on the core at hand. */
static inline int32_t mcg_rescale_output(int32_t acc, float factor)
{
    return MCG_SLOW_FLOATS ? mcg_rescale_integer(acc, factor) : mcg_rescale_float(acc, factor);
}

int32_t mcg_output_s8(const int32_t *restrict acc, const float *restrict scale, const int32_t *clip,
                      int32_t zero, int32_t count, int8_t *restrict y)
{
    const int32_t low = clip[0];
    const int32_t high = clip[1];
    int32_t highest = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = mcg_clamp(mcg_rescale_output(acc[i], scale[i]), low, high);
        highest = mcg_max(highest, mcg_abs(value));
        y[i] = (int8_t)mcg_clamp(value + zero, -128, 127);
    }
    return highest;
}
