/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors of 32 bytes for bodies that end in _avx2. Compilers' own: the header of intrinsics wants a C
 * library.
 */
#ifndef MCG_AVX2_H
#define MCG_AVX2_H

#include "mcg_core.h"

#if MCG_HAS_AVX2

/** Bytes that are widened at a time. */
#define MCG_LANES_16 16

/** Taps of which whole windows lie on the stack; larger kernels go another way. */
#define MCG_WINDOW_TAPS 4096

typedef int8_t mcg_bytes_t __attribute__((vector_size(16)));
typedef char mcg_chars_t __attribute__((vector_size(16)));
typedef int16_t mcg_halves_t __attribute__((vector_size(32)));
typedef int32_t mcg_words_t __attribute__((vector_size(32)));

/** VPMOVSXBW: 16 bytes with their signs. */
static inline mcg_halves_t mcg_widen(mcg_bytes_t bytes)
{
#if MCG_GCC /* makes two halves of what it is told in general terms */
    return (mcg_halves_t)__builtin_ia32_pmovsxbw256((mcg_chars_t)bytes);
#else
    return __builtin_convertvector(bytes, mcg_halves_t);
#endif
}

/** 16 bytes from anywhere. */
static inline mcg_bytes_t mcg_load_bytes(const int8_t *from)
{
    mcg_bytes_t bytes;
    __builtin_memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

/** 16 halves from anywhere. */
static inline mcg_halves_t mcg_load_halves(const int16_t *from)
{
    mcg_halves_t halves;
    __builtin_memcpy(&halves, from, sizeof halves);
    return halves;
}

/** VPMADDWD: sums of two products each. */
static inline mcg_words_t mcg_products(mcg_halves_t a, mcg_halves_t b)
{
    return (mcg_words_t)__builtin_ia32_pmaddwd256(a, b);
}

/** VPHADDD: the sums of the words of four vectors. */
static inline void mcg_sums(const mcg_words_t v[4], int32_t sums[4])
{
    const mcg_words_t low = (mcg_words_t)__builtin_ia32_phaddd256(v[0], v[1]);
    const mcg_words_t high = (mcg_words_t)__builtin_ia32_phaddd256(v[2], v[3]);
    const mcg_words_t all = (mcg_words_t)__builtin_ia32_phaddd256(low, high);
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = all[i] + all[i + 4];
    }
}

#endif /* MCG_HAS_AVX2 */

#endif /* MCG_AVX2_H */
