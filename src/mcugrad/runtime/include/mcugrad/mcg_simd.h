/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which body of a kernel is compiled, and the instructions that such bodies are made of.
 *
 * A file of the runtime that ends in _mve, _m7, _dsp, _armv6m, _fpu or _avx2 holds the same function as the
 * one without: the same prototype, the same bytes. Of all that there are, the preprocessor takes the first
 * that the core can run.
 *
 *   MCG_PORTABLE     defined by whoever builds: no body but the portable ones
 *   MCG_CORTEX_M7    the same: the order of instructions is made for a Cortex-M7, which compilers do not name
 *   MCG_DSP_IN_C     the same: bodies for the DSP extension, with C in the place of its instructions, so that
 *                    sanitizers and tests on any computer run their very text
 *   MCG_MVE_IN_C     beside it: those for Helium
 *   MCG_ARMV6M_IN_C  the same: bodies for Armv6-M, with C in the place of assembler
 *
 * Each instruction of the DSP extension is a function here: the instruction where there is one, else C with
 * the same bits. A word holds two halves of 16 bits or four bytes, the lowest first.
 */
#ifndef MCG_SIMD_H
#define MCG_SIMD_H

#include "mcg_math.h"

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED) && defined(__ARM_ARCH_PROFILE) && \
    defined(__GNUC__)
#if __ARM_ARCH_PROFILE == 'M' /* a word may lie anywhere: rows of weights begin where they do */
#define MCG_DSP_INSTRUCTIONS 1
#endif
#endif
#ifndef MCG_DSP_INSTRUCTIONS
#define MCG_DSP_INSTRUCTIONS 0
#endif

/* Armv6-M, and the Armv8-M baseline: neither SMLAD nor products of 64 bits, and eight registers. */
#if (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)) && defined(__GNUC__)
#define MCG_ARMV6M_INSTRUCTIONS 1
#else
#define MCG_ARMV6M_INSTRUCTIONS 0
#endif

#if MCG_DSP_INSTRUCTIONS && defined(__ARM_FEATURE_MVE)
#if __ARM_FEATURE_MVE & 2 /* vectors of floats as well */
#define MCG_MVE_INSTRUCTIONS 1
#endif
#endif
#ifndef MCG_MVE_INSTRUCTIONS
#define MCG_MVE_INSTRUCTIONS 0
#endif

#if defined(MCG_PORTABLE)
#define MCG_HAS_DSP 0
#define MCG_HAS_ARMV6M 0
#define MCG_HAS_AVX2 0
#elif MCG_DSP_INSTRUCTIONS || defined(MCG_DSP_IN_C)
#define MCG_HAS_DSP 1
#define MCG_HAS_ARMV6M 0
#define MCG_HAS_AVX2 0
#elif MCG_ARMV6M_INSTRUCTIONS || defined(MCG_ARMV6M_IN_C)
#define MCG_HAS_DSP 0
#define MCG_HAS_ARMV6M 1
#define MCG_HAS_AVX2 0
#elif defined(__AVX2__) && defined(__GNUC__)
#define MCG_HAS_DSP 0
#define MCG_HAS_ARMV6M 0
#define MCG_HAS_AVX2 1
#else
#define MCG_HAS_DSP 0
#define MCG_HAS_ARMV6M 0
#define MCG_HAS_AVX2 0
#endif

/* Vectors beside the DSP extension: panels of bytes instead of halves, see mcg_panels.h. */
#if MCG_HAS_DSP && (MCG_MVE_INSTRUCTIONS || defined(MCG_MVE_IN_C))
#define MCG_HAS_MVE 1
#else
#define MCG_HAS_MVE 0
#endif

/* Another order of the same instructions; without registers for floats there is nowhere to park what it
 * needs. */
#if MCG_HAS_DSP && MCG_DSP_INSTRUCTIONS && MCG_ARM_FLOATS && defined(MCG_CORTEX_M7)
#define MCG_HAS_M7 1
#else
#define MCG_HAS_M7 0
#endif

/* Floats eight at a time, on a core that computes with them. */
#if MCG_ARM_FLOATS && !defined(MCG_PORTABLE)
#define MCG_HAS_FPU 1
#else
#define MCG_HAS_FPU 0
#endif

#if MCG_HAS_DSP

/** A word from anywhere. */
static inline uint32_t mcg_load32(const void *from)
{
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

/** A word to anywhere. */
static inline void mcg_store32(void *to, uint32_t word) { __builtin_memcpy(to, &word, sizeof word); }

/** A half with its sign: 0 the low one, 1 the high one. */
static inline MCG_SPARE int32_t mcg_half(uint32_t word, uint32_t which)
{
    return (int16_t)(word >> (16U * which));
}

/** A byte with its sign. */
static inline MCG_SPARE int32_t mcg_byte(uint32_t word, uint32_t which)
{
    return (int8_t)(word >> (8U * which));
}

/** Two halves side by side; what does not fit is cut off. */
static inline MCG_SPARE uint32_t mcg_halves(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xffffU) | ((uint32_t)high << 16);
}

/** SXTB16: bytes 0 and 2 as halves with their signs. */
static inline uint32_t mcg_sxtb16(uint32_t a)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("sxtb16 %0, %1" : "=r"(r) : "r"(a));
    return r;
#else
    return mcg_halves(mcg_byte(a, 0), mcg_byte(a, 2));
#endif
}

/** SXTB16 of a word turned by 8 bits: bytes 1 and 3. */
static inline uint32_t mcg_sxtb16_odd(uint32_t a)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(r) : "r"(a));
    return r;
#else
    return mcg_halves(mcg_byte(a, 1), mcg_byte(a, 3));
#endif
}

/** UXTB16: bytes 0 and 2 as halves. */
static inline uint32_t mcg_uxtb16(uint32_t a)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("uxtb16 %0, %1" : "=r"(r) : "r"(a));
    return r;
#else
    return a & 0xff00ffU;
#endif
}

/** UXTB16 of a word turned by 8 bits: bytes 1 and 3. */
static inline uint32_t mcg_uxtb16_odd(uint32_t a)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("uxtb16 %0, %1, ror #8" : "=r"(r) : "r"(a));
    return r;
#else
    return (a >> 8) & 0xff00ffU;
#endif
}

/** UXTAB16: bytes 0 and 2 of b, plus the halves of a. */
static inline uint32_t mcg_uxtab16(uint32_t a, uint32_t b)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("uxtab16 %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return ((a + (b & 0xffU)) & 0xffffU) | ((a & 0xffff0000U) + (b & 0xff0000U));
#endif
}

/** UXTAB16 with b turned by 8 bits: bytes 1 and 3. */
static inline uint32_t mcg_uxtab16_odd(uint32_t a, uint32_t b)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("uxtab16 %0, %1, %2, ror #8" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return mcg_uxtab16(a, b >> 8);
#endif
}

/** SXTAB16: bytes 0 and 2 of b, with their signs, plus the halves of a. */
static inline uint32_t mcg_sxtab16(uint32_t a, uint32_t b)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("sxtab16 %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return mcg_halves(mcg_half(a, 0) + mcg_byte(b, 0), mcg_half(a, 1) + mcg_byte(b, 2));
#endif
}

/** SXTAB16 with b turned by 8 bits: bytes 1 and 3. */
static inline uint32_t mcg_sxtab16_odd(uint32_t a, uint32_t b)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return mcg_halves(mcg_half(a, 0) + mcg_byte(b, 1), mcg_half(a, 1) + mcg_byte(b, 3));
#endif
}

/** PKHBT: the low half of a below the low half of b. */
static inline uint32_t mcg_pkhbt(uint32_t a, uint32_t b)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return (a & 0xffffU) | (b << 16);
#endif
}

/** PKHTB: the high half of a below the high half of b. */
static inline uint32_t mcg_pkhtb(uint32_t a, uint32_t b)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(r) : "r"(b), "r"(a));
    return r;
#else
    return (a >> 16) | (b & 0xffff0000U);
#endif
}

/** SMLAD: the products of both halves, and c; their sum must fit, without c and with it. */
static inline int32_t mcg_smlad(uint32_t a, uint32_t b, int32_t c)
{
#if MCG_DSP_INSTRUCTIONS
    int32_t r;
    __asm__("smlad %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
#else
    return c + (mcg_half(a, 0) * mcg_half(b, 0) + mcg_half(a, 1) * mcg_half(b, 1));
#endif
}

/** SMULBB: the product of the low halves. */
static inline int32_t mcg_smulbb(uint32_t a, uint32_t b)
{
#if MCG_DSP_INSTRUCTIONS
    int32_t r;
    __asm__("smulbb %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return mcg_half(a, 0) * mcg_half(b, 0);
#endif
}

/** SMULTB: the product of the high half of a and the low half of b. */
static inline int32_t mcg_smultb(uint32_t a, uint32_t b)
{
#if MCG_DSP_INSTRUCTIONS
    int32_t r;
    __asm__("smultb %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return mcg_half(a, 1) * mcg_half(b, 0);
#endif
}

/** SMMULR: a b / 2^32, rounded half up. */
static inline int32_t mcg_smmulr(int32_t a, int32_t b)
{
#if MCG_DSP_INSTRUCTIONS
    int32_t r;
    __asm__("smmulr %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return (int32_t)(((int64_t)a * b + 0x80000000LL) >> 32);
#endif
}

/** SMMLSR: c - a b / 2^32, rounded half up after the difference; it must fit. */
static inline int32_t mcg_smmlsr(int32_t a, int32_t b, int32_t c)
{
#if MCG_DSP_INSTRUCTIONS
    int32_t r;
    __asm__("smmlsr %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
#else
    return c + (int32_t)((0x80000000LL - (int64_t)a * b) >> 32);
#endif
}

#if !MCG_DSP_INSTRUCTIONS
/** The flag Q in C. */
static inline bool *mcg_q(void)
{
    static bool flag;
    return &flag;
}

/** A value within bounds; Q is set where it was outside. */
static inline int32_t mcg_q_clamp(int32_t v, int32_t low, int32_t high)
{
    const int32_t inside = v < low ? low : v > high ? high : v;
    *mcg_q() = *mcg_q() || inside != v;
    return inside;
}
#endif

/** Clears the flag Q, which those below set and none clears. */
static inline void mcg_q_clear(void)
{
#if MCG_DSP_INSTRUCTIONS
    __asm__ volatile("msr apsr_nzcvq, %0" ::"r"(0) : "cc", "memory");
#else
    *mcg_q() = false;
#endif
}

/** Whether mcg_ssat, mcg_ssat16 or mcg_usat16 had to saturate since Q was cleared. */
static inline bool mcg_q_is_set(void)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__ volatile("mrs %0, apsr" : "=r"(r)::"memory");
    return (r & ((uint32_t)1 << 27)) != 0U;
#else
    return *mcg_q();
#endif
}

/** SSAT16 to 8 bits: both halves into [-128, 127]. */
static inline uint32_t mcg_ssat16(uint32_t a)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__ volatile("ssat16 %0, #8, %1" : "=r"(r) : "r"(a));
    return r;
#else
    return mcg_halves(mcg_q_clamp(mcg_half(a, 0), -128, 127), mcg_q_clamp(mcg_half(a, 1), -128, 127));
#endif
}

/** SSAT to 8 bits. */
static inline int32_t mcg_ssat(int32_t a)
{
#if MCG_DSP_INSTRUCTIONS
    int32_t r;
    __asm__ volatile("ssat %0, #8, %1" : "=r"(r) : "r"(a));
    return r;
#else
    return mcg_q_clamp(a, -128, 127);
#endif
}

/** USAT16 to 8 bits: both halves, which have signs, into [0, 255]. */
static inline uint32_t mcg_usat16(uint32_t a)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__ volatile("usat16 %0, #8, %1" : "=r"(r) : "r"(a));
    return r;
#else
    return mcg_halves(mcg_q_clamp(mcg_half(a, 0), 0, 255), mcg_q_clamp(mcg_half(a, 1), 0, 255));
#endif
}

/** SSUB16 and SEL: for both halves, with their signs, that of c where a >= b, else that of d. */
static inline uint32_t mcg_select16(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("ssub16 %0, %1, %2\n\tsel %0, %3, %4" : "=&r"(r) : "r"(a), "r"(b), "r"(c), "r"(d) : "cc");
    return r;
#else
    const uint32_t low = mcg_half(a, 0) >= mcg_half(b, 0) ? c : d;
    const uint32_t high = mcg_half(a, 1) >= mcg_half(b, 1) ? c : d;
    return (low & 0xffffU) | (high & 0xffff0000U);
#endif
}

/** SSUB8 and SEL: the same for four bytes. */
static inline uint32_t mcg_select8(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %3, %4" : "=&r"(r) : "r"(a), "r"(b), "r"(c), "r"(d) : "cc");
    return r;
#else
    uint32_t r = 0;
    for (uint32_t i = 0; i < 4U; i++) {
        r |= (mcg_byte(a, i) >= mcg_byte(b, i) ? c : d) & ((uint32_t)0xff << (8U * i));
    }
    return r;
#endif
}

/** SSUB8 from 0 and SEL: magnitudes of four bytes, that of -128 without a sign. */
static inline uint32_t mcg_abs8(uint32_t a)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %0, %2" : "=&r"(r) : "r"(0), "r"(a) : "cc");
    return r;
#else
    const uint32_t below = mcg_select8(a, 0, 0, 0xffffffffU);
    return (a ^ below) + (below & 0x01010101U);
#endif
}

/** QADD8: sums of four bytes, saturated. */
static inline uint32_t mcg_qadd8(uint32_t a, uint32_t b)
{
#if MCG_DSP_INSTRUCTIONS
    uint32_t r;
    __asm__("qadd8 %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    uint32_t r = 0;
    for (uint32_t i = 0; i < 4U; i++) {
        const int32_t sum = mcg_byte(a, i) + mcg_byte(b, i);
        r |= ((uint32_t)(sum < -128 ? -128 : sum > 127 ? 127 : sum) & 0xffU) << (8U * i);
    }
    return r;
#endif
}

/** Whether one of four bytes is -128. */
static inline bool mcg_has_lowest(uint32_t bytes)
{
    const uint32_t from = bytes ^ 0x80808080U;
    return ((from - 0x01010101U) & ~from & 0x80808080U) != 0U;
}

#endif /* MCG_HAS_DSP */

#endif /* MCG_SIMD_H */
