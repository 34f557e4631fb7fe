/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* acc times a factor of outputs, both rounded to float32, then to the nearest integer. */
static inline int32_t mcg_rescale_float(int32_t acc, float factor)
{
    return mcg_nearest((float)acc * factor);
}

/* Whether a core has a product of 64 bits: all of ours but those of Armv6-M and the Armv8-M baseline. */
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define MCG_LONG_PRODUCTS 0
#else
#define MCG_LONG_PRODUCTS 1
#endif

/*
 * acc times a factor by integers, without the roundings to float32 on the way: the fraction tells in 2^-32
 * how close to a tie it is. Floats err by 2^18 of these at most, for outputs from -512 to 511.
 */
static inline bool mcg_rescale_is_sure(uint32_t fraction, uint32_t error, int32_t value)
{
    return fraction - (0x80000000U - error) >= 2U * error && (uint32_t)(value + 512) < 1024U;
}

/* By one product of 64 bits; 2^-33 <= factor < 2^-2, |acc| < 2^30. */
static inline bool mcg_rescale_long(int32_t acc, uint32_t bits, int32_t *value)
{
    const int32_t shift = 125 - (int32_t)(bits >> 23);
    const int32_t mantissa = (int32_t)(((bits & 0x7fffffU) | 0x800000U) << 7);
    const int64_t product = (int64_t)acc * mantissa;
    const int32_t high = (int32_t)(product >> 32);
    const uint32_t fraction = ((uint32_t)high << (32 - shift)) | ((uint32_t)product >> shift);
    *value = (high >> shift) + (int32_t)(fraction >> 31);
    return mcg_rescale_is_sure(fraction, 1U << 19, *value);
}

/* By products of 32 bits, the last of the result cut off: 2^21 of the fraction at most. 11 <= shift <= 31,
 * factor = mantissa * 2^-(16 + shift), |acc| < 2^22. */
static inline bool mcg_rescale_short(int32_t acc, uint32_t bits, int32_t shift, int32_t *value)
{
    const uint32_t mantissa = (bits & 0x7fffffU) | 0x800000U;
    const uint32_t low = (uint32_t)acc & 0xffffU;
    const uint32_t product = (uint32_t)((acc >> 16) * (int32_t)mantissa) + low * (mantissa >> 16) +
                             ((low * (bits & 0xffffU)) >> 16);
    const uint32_t fraction = product << (32 - shift);
    *value = ((int32_t)product >> shift) + (int32_t)(fraction >> 31);
    return mcg_rescale_is_sure(fraction, 1U << 22, *value);
}

/* What these do not tell: close to a tie, and with unusual factors. */
static inline int32_t mcg_rescale_rare(int32_t acc, float factor)
{
    const uint32_t bits = mcg_float_bits(factor);
    const int32_t shift = 134 - (int32_t)(bits >> 23);
    if (shift >= 0 && shift < 11 && acc < 4096 && acc > -4096) {
        /* A large factor and a small sum, as a joint's or a mean's. */
        const int32_t large = acc * ((int32_t)1 << (11 - shift));
        int32_t value;
        if ((uint32_t)large + 0x400000U < 0x800000U && mcg_rescale_short(large, bits, 11, &value)) {
            return value;
        }
    }
    return mcg_rescale_float(acc, factor);
}

/* The same by integers, for |acc| < 2^30. Apart: loops of products need their registers. */
MCG_APART static int32_t mcg_rescale_by_long(int32_t acc, float factor)
{
    const uint32_t bits = mcg_float_bits(factor);
    int32_t value;
    return 124U - (bits >> 23) <= 30U && mcg_rescale_long(acc, bits, &value) ? value
                                                                             : mcg_rescale_rare(acc, factor);
}

MCG_APART static int32_t mcg_rescale_by_short(int32_t acc, float factor)
{
    const uint32_t bits = mcg_float_bits(factor);
    const uint32_t more = 123U - (bits >> 23);
    int32_t value;
    return more <= 20U && (uint32_t)acc + 0x400000U < 0x800000U &&
                   mcg_rescale_short(acc, bits, (int32_t)more + 11, &value)
               ? value
               : mcg_rescale_rare(acc, factor);
}

/* The same, as is shortest on the core at hand. */
static inline int32_t mcg_rescale_output(int32_t acc, float factor)
{
    if (!MCG_SLOW_FLOATS) {
        return mcg_rescale_float(acc, factor);
    }
    return MCG_LONG_PRODUCTS ? mcg_rescale_by_long(acc, factor) : mcg_rescale_by_short(acc, factor);
}

int32_t mcg_output_s8(const int32_t *MCG_RESTRICT acc, const float *MCG_RESTRICT scale, const int32_t *clip,
                      int32_t zero, int32_t count, int8_t *MCG_RESTRICT y)
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
