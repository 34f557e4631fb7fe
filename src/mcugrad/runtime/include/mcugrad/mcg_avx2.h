/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors of 32 bytes for bodies that end in _avx2. Compilers' own: the header of intrinsics wants a C
 * library.
 */
#ifndef MCG_AVX2_H
#define MCG_AVX2_H

#include "mcg_core.h"

/** Bytes that are widened, and words that are summed, at a time. */
#define MCG_LANES_16 16
#define MCG_LANES_8 8

/** Taps of which whole windows lie on the stack; larger kernels go another way. */
#define MCG_WINDOW_TAPS 4096

/** Words of gradients at a time: with windows beside them they stay in the nearest cache. */
#define MCG_GRADIENT_WORDS 4096

#if MCG_HAS_AVX2

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

/** 8 words from anywhere. */
static inline mcg_words_t mcg_load_words(const int32_t *from)
{
    mcg_words_t words;
    __builtin_memcpy(&words, from, sizeof words);
    return words;
}

/** 8 words to anywhere. */
static inline void mcg_store_words(int32_t *to, mcg_words_t words)
{
    __builtin_memcpy(to, &words, sizeof words);
}

/** VPMADDWD: sums of two products each. */
static inline mcg_words_t mcg_products(mcg_halves_t a, mcg_halves_t b)
{
    return (mcg_words_t)__builtin_ia32_pmaddwd256(a, b);
}

/** Two halves, each pair of lanes the same. */
static inline mcg_halves_t mcg_pairs(int32_t word)
{
    return (mcg_halves_t)(mcg_words_t){word, word, word, word, word, word, word, word};
}

/** Two halves side by side. */
static inline int32_t mcg_pair(int32_t low, int32_t high)
{
    return (int32_t)(((uint32_t)low & 0xffffU) | ((uint32_t)high << 16));
}

/** Bytes of two rows side by side, as halves: the first 8 of both, and the last. */
static inline void mcg_interleave(mcg_bytes_t a, mcg_bytes_t b, mcg_halves_t both[2])
{
#if MCG_GCC
    const mcg_bytes_t low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
    const mcg_bytes_t high = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    both[0] = mcg_widen(__builtin_shuffle(a, b, low));
    both[1] = mcg_widen(__builtin_shuffle(a, b, high));
#else
    both[0] =
        mcg_widen(__builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    both[1] = mcg_widen(
        __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
#endif
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

/** Whether one of some bytes is not 0. */
static inline bool mcg_any_s8(const int8_t *e, int32_t count)
{
    int32_t any = 0;
    for (int32_t i = 0; i < count; i++) {
        any |= e[i];
    }
    return any != 0;
}

/** Windows at up to four pixels, side by side in pairs, and the pixels' errors. */
typedef struct {
    int32_t count;      /* pixels that are there */
    const int8_t *e[4]; /* errors of a pixel's output channels */
    int32_t *pairs;     /* [2][taps], of pixels 0 and 1, and 2 and 3 */
    int32_t taps;
} mcg_gathered_t;

/** One more window. */
static inline void mcg_gather(mcg_gathered_t *all, const int16_t *MCG_RESTRICT window, const int8_t *e)
{
    int32_t *MCG_RESTRICT to = all->pairs + (all->count >> 1) * all->taps;
    if ((all->count & 1) == 0) {
        for (int32_t k = 0; k < all->taps; k++) {
            to[k] = (uint16_t)window[k];
        }
    } else {
        for (int32_t k = 0; k < all->taps; k++) {
            to[k] |= (int32_t)((uint32_t)window[k] << 16);
        }
    }
    all->e[all->count++] = e;
}

/** gradient[k] += the products of two pairs of errors with taps of four windows. */
static inline void mcg_add_pairs(const int32_t *MCG_RESTRICT pairs, int32_t taps, int32_t e01, int32_t e23,
                                 int32_t *MCG_RESTRICT gradient)
{
    const mcg_halves_t first = mcg_pairs(e01);
    const mcg_halves_t second = mcg_pairs(e23);
    int32_t k = 0;
    for (; k + MCG_LANES_8 <= taps; k += MCG_LANES_8) {
        const mcg_words_t here = mcg_products((mcg_halves_t)mcg_load_words(pairs + k), first);
        const mcg_words_t there = mcg_products((mcg_halves_t)mcg_load_words(pairs + taps + k), second);
        mcg_store_words(gradient + k, mcg_load_words(gradient + k) + (here + there));
    }
    for (; k < taps; k++) {
        const uint32_t here = (uint32_t)pairs[k];
        const uint32_t there = (uint32_t)pairs[taps + k];
        gradient[k] += (int16_t)here * (int16_t)e01 + (int16_t)(here >> 16) * (e01 >> 16) +
                       (int16_t)there * (int16_t)e23 + (int16_t)(there >> 16) * (e23 >> 16);
    }
}

/** Adds what gathered pixels give to the gradients of some output channels, and lets the pixels go. */
static inline void mcg_add_gathered(mcg_gathered_t *all, int32_t rows, int32_t *gradient)
{
    static const int8_t none[MCG_BLOCK] = {0};
    if (all->count == 0) {
        return;
    }
    if (all->count <= 2) { /* a pair that is not there must hold something */
        for (int32_t k = 0; k < all->taps; k++) {
            all->pairs[all->taps + k] = 0;
        }
    }
    for (int32_t i = all->count; i < 4; i++) {
        all->e[i] = none;
    }
    for (int32_t o = 0; o < rows; o++) {
        const int32_t e01 = mcg_pair(all->e[0][o], all->e[1][o]);
        const int32_t e23 = mcg_pair(all->e[2][o], all->e[3][o]);
        if ((e01 | e23) != 0) {
            mcg_add_pairs(all->pairs, all->taps, e01, e23, gradient + o * all->taps);
        }
    }
    all->count = 0;
}

#endif /* MCG_HAS_AVX2 */

#endif /* MCG_AVX2_H */
