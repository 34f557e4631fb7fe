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

/** Weights that are changed at a time: random numbers come from eight words. */
#define MCG_LANES_32 32

/** Taps of which whole windows lie on the stack; larger kernels go another way. */
#define MCG_WINDOW_TAPS 4096

#if MCG_HAS_AVX2

typedef int8_t mcg_bytes_t __attribute__((vector_size(16)));
typedef char mcg_chars_t __attribute__((vector_size(16)));
typedef int16_t mcg_halves_t __attribute__((vector_size(32)));
typedef int32_t mcg_words_t __attribute__((vector_size(32)));
typedef uint32_t mcg_hashes_t __attribute__((vector_size(32)));
typedef float mcg_floats_t __attribute__((vector_size(32)));
typedef long long mcg_longs_t __attribute__((vector_size(32)));

/** Elements of two vectors of a type, by number; those of the second are counted on. */
#if MCG_GCC
#define MCG_SHUFFLE(type, a, b, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#else
#define MCG_SHUFFLE(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif

/** 16 bytes, of which those from `count` on are 0; `end` is where what may be read ends. */
static inline mcg_bytes_t mcg_load_some(const int8_t *from, int32_t count, const int8_t *end)
{
    static const int8_t mask[2 * MCG_LANES_16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                  -1, -1, -1, -1, -1, -1, -1, -1};
    mcg_bytes_t bytes = {0};
    mcg_bytes_t some;
    count = mcg_clamp(count, 0, MCG_LANES_16);
    __builtin_memcpy(&some, mask + MCG_LANES_16 - count, sizeof some);
    if (end - from >= MCG_LANES_16) {
        __builtin_memcpy(&bytes, from, sizeof bytes);
    } else {
        __builtin_memcpy(&bytes, from, (size_t)count);
    }
    return bytes & some;
}

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
    both[0] =
        mcg_widen(MCG_SHUFFLE(mcg_bytes_t, a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    both[1] = mcg_widen(
        MCG_SHUFFLE(mcg_bytes_t, a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
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

/** VPUNPCKLWD and VPUNPCKHWD: halves of both by turns, as words: of places 0 to 3 and 8 to 11, and of the
 * others. */
static inline void mcg_zip_halves(mcg_halves_t a, mcg_halves_t b, mcg_words_t both[2])
{
    both[0] = (mcg_words_t)MCG_SHUFFLE(mcg_halves_t, a, b, 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26,
                                       11, 27);
    both[1] = (mcg_words_t)MCG_SHUFFLE(mcg_halves_t, a, b, 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30,
                                       15, 31);
}

/** VPERMQ: places 4 to 7 and 8 to 11 exchanged, after which zipping leaves all in order. */
static inline mcg_halves_t mcg_exchange(mcg_halves_t v)
{
    return (mcg_halves_t)MCG_SHUFFLE(mcg_longs_t, (mcg_longs_t)v, (mcg_longs_t)v, 0, 2, 1, 3);
}

/** Whether one of some bytes is not 0. */
static inline bool mcg_any_s8(const int8_t *e, int32_t count)
{
    uint64_t any = 0;
    int32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t eight;
        __builtin_memcpy(&eight, e + i, sizeof eight);
        any |= eight;
    }
    for (; i < count; i++) {
        any |= (uint8_t)e[i];
    }
    return any != 0;
}

/* ---- changes of weights ----------------------------------------------------------------------------------
 */

/** VPUNPCKLDQ and VPUNPCKHDQ: words of both by turns, from the lower and from the upper half of each 16
 * bytes.
 */
static inline void mcg_zip_words(mcg_words_t a, mcg_words_t b, mcg_words_t both[2])
{
    both[0] = MCG_SHUFFLE(mcg_words_t, a, b, 0, 8, 1, 9, 4, 12, 5, 13);
    both[1] = MCG_SHUFFLE(mcg_words_t, a, b, 2, 10, 3, 11, 6, 14, 7, 15);
}

/** The larger, and the smaller, of two halves. */
static inline mcg_halves_t mcg_max_halves(mcg_halves_t a, mcg_halves_t b)
{
#if MCG_GCC
    return __builtin_ia32_pmaxsw256(a, b);
#else
    const mcg_halves_t larger = a > b; /* compilers know that pattern */
    return (a & larger) | (b & ~larger);
#endif
}

static inline mcg_halves_t mcg_min_halves(mcg_halves_t a, mcg_halves_t b)
{
#if MCG_GCC
    return __builtin_ia32_pminsw256(a, b);
#else
    const mcg_halves_t smaller = a < b;
    return (a & smaller) | (b & ~smaller);
#endif
}

/** VPADDSW: sums that saturate. */
static inline mcg_halves_t mcg_add_halves(mcg_halves_t a, mcg_halves_t b)
{
#if MCG_GCC
    return __builtin_ia32_paddsw256(a, b);
#else
    return __builtin_elementwise_add_sat(a, b);
#endif
}

/** VPADDW: sums of which what does not fit is cut off. */
static inline mcg_halves_t mcg_add_around(mcg_halves_t a, mcg_halves_t b)
{
    typedef uint16_t bits_t __attribute__((vector_size(32)));
    return (mcg_halves_t)((bits_t)a + (bits_t)b);
}

static inline mcg_halves_t mcg_clamp_halves(mcg_halves_t v, int16_t low, int16_t high)
{
    const mcg_halves_t zero = {0};
    return mcg_min_halves(mcg_max_halves(v, zero + low), zero + high);
}

/** The larger, and the smaller, of two words. */
static inline mcg_words_t mcg_max_words(mcg_words_t a, mcg_words_t b)
{
#if MCG_GCC
    return __builtin_ia32_pmaxsd256(a, b);
#else
    const mcg_words_t larger = a > b;
    return (a & larger) | (b & ~larger);
#endif
}

static inline mcg_words_t mcg_min_words(mcg_words_t a, mcg_words_t b)
{
#if MCG_GCC
    return __builtin_ia32_pminsd256(a, b);
#else
    const mcg_words_t smaller = a < b;
    return (a & smaller) | (b & ~smaller);
#endif
}

static inline mcg_words_t mcg_clamp_words(mcg_words_t v, mcg_words_t low, mcg_words_t high)
{
    return mcg_min_words(mcg_max_words(v, low), high);
}

/** The same number eight times. */
static inline mcg_words_t mcg_all_words(int32_t number)
{
    const mcg_words_t zero = {0};
    return zero + number;
}

/** The largest of eight words. */
static inline int32_t mcg_largest(mcg_words_t v)
{
    int32_t largest = v[0];
    for (int32_t i = 1; i < MCG_LANES_8; i++) {
        largest = mcg_max(largest, v[i]);
    }
    return largest;
}

/** The magnitudes of eight words. */
static inline mcg_words_t mcg_abs_words(mcg_words_t v) { return mcg_max_words(v, -v); }

/** Eight bytes from anywhere, as words. */
static inline mcg_words_t mcg_widen_words(const int8_t *from)
{
    typedef int8_t eight_t __attribute__((vector_size(8)));
    eight_t bytes;
    __builtin_memcpy(&bytes, from, sizeof bytes);
    return __builtin_convertvector(bytes, mcg_words_t);
}

/** Eight words as bytes, cut off, to anywhere. */
static inline void mcg_store_eight(int8_t *to, mcg_words_t v)
{
    typedef int8_t eight_t __attribute__((vector_size(8)));
    const eight_t bytes = __builtin_convertvector(v, eight_t);
    __builtin_memcpy(to, &bytes, sizeof bytes);
}

/** mcg_nearest of eight floats. */
static inline mcg_words_t mcg_nearest_words(mcg_floats_t v)
{
    const mcg_floats_t zero = {0.0F};
    const mcg_floats_t low = zero + (float)-MCG_OUTPUT_LIMIT;
    const mcg_floats_t high = zero + (float)(MCG_OUTPUT_LIMIT - 1);
    const mcg_floats_t sum = __builtin_ia32_minps256(__builtin_ia32_maxps256(v, low), high) + 12582912.0F;
    return (mcg_words_t)sum - 0x4b400000;
}

/** mcg_rescale of eight sums by factors as they lie in memory. */
static inline mcg_words_t mcg_rescale_words(mcg_words_t acc, mcg_words_t factor)
{
    const mcg_words_t mult = factor & 0xffff;
    const mcg_words_t shift = (factor >> 16 & 0xff) - 16;
    const mcg_words_t pre = (mcg_words_t)((mcg_hashes_t)factor >> 24);
    const mcg_words_t limit = mcg_all_words(MCG_ACC_LIMIT - 1) >> pre;
    const mcg_words_t shifted = mcg_clamp_words(acc, -limit, limit) << pre;
    const mcg_words_t low = (mcg_words_t)__builtin_ia32_pmulhuw256((mcg_halves_t)shifted, (mcg_halves_t)mult);
    return (low + (shifted >> 16) * mult + (mcg_all_words(1) << (shift - 1))) >> shift;
}

/** 32 halves as bytes, saturated, to anywhere. */
static inline void mcg_store_narrow(int8_t *to, mcg_halves_t first, mcg_halves_t last)
{
    const mcg_halves_t ordered = mcg_exchange((mcg_halves_t)__builtin_ia32_packsswb256(first, last));
    __builtin_memcpy(to, &ordered, sizeof ordered);
}

/** Whether one of 16 halves is not 0. */
static inline bool mcg_any_half(mcg_halves_t v)
{
    return __builtin_ia32_ptestz256((mcg_longs_t)v, (mcg_longs_t)v) == 0;
}

/** 32 random numbers from eight words, in their order: as mcg_random_u16 draws them. */
static inline void mcg_random_halves(uint32_t counter, mcg_halves_t random[2])
{
    /* The words' places are those that interleaving takes them from. */
    const mcg_hashes_t places = {0, 1, 4, 5, 2, 3, 6, 7};
    mcg_hashes_t x = places * MCG_COUNTER_STEP + counter;
    mcg_words_t zipped[2];
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x7feb352dU;
    x ^= x >> 16;
    mcg_zip_words((mcg_words_t)x, (mcg_words_t)(x >> 8 | x << 24), zipped);
    random[0] = (mcg_halves_t)zipped[0];
    random[1] = (mcg_halves_t)zipped[1];
}

/** A factor from gradients to steps, as vectors need it. */
typedef struct {
    mcg_words_t mult, half, shift;
    mcg_words_t most; /* before the pre-shift */
    int32_t pre;
} mcg_steps_t;

static inline mcg_steps_t mcg_steps(mcg_scale_t s)
{
    const mcg_words_t zero = {0};
    const mcg_steps_t steps = {zero + s.mult, zero + ((int32_t)1 << (s.shift - 17)), zero + (s.shift - 16),
                               zero + ((MCG_ACC_LIMIT - 1) >> s.pre), s.pre};
    return steps;
}

/** mcg_rescale of the negative of eight sums. */
static inline mcg_words_t mcg_rescale_less(mcg_words_t sums, const mcg_steps_t *s)
{
    mcg_words_t acc = -sums;
    if (s->pre != 0) {
        acc = mcg_clamp_words(acc, -s->most, s->most) << s->pre;
    }
    const mcg_words_t low = (mcg_words_t)__builtin_ia32_pmulhuw256((mcg_halves_t)acc, (mcg_halves_t)s->mult);
    return (low + (acc >> 16) * s->mult + s->half) >> s->shift;
}

/** Eight words of which the last four lie eight words further on. */
static inline mcg_words_t mcg_load_apart(const int32_t *from)
{
    mcg_words_t words;
    __builtin_memcpy(&words, from, sizeof words / 2);
    __builtin_memcpy((char *)&words + sizeof words / 2, from + MCG_LANES_8, sizeof words / 2);
    return words;
}

/**
 * 16 weights of sr8, by what they are to change by in 1/65536, of 0 to 3 and 8 to 11, and of the others, and
 * by 16 random numbers: what `over` has then is not 0 where a weight left its range. Returns them.
 */
static inline mcg_halves_t mcg_sr8_weights(const int8_t *w, const mcg_words_t d[2], mcg_halves_t random,
                                           mcg_halves_t *over)
{
    const mcg_halves_t zero = {0};
    mcg_words_t drawn[2];
    mcg_halves_t v;
    mcg_halves_t kept;
    mcg_zip_halves(random, zero, drawn); /* in the order of d */
    v = mcg_widen(mcg_load_bytes(w)) +
        (mcg_halves_t)__builtin_ia32_packssdw256((d[0] + drawn[0]) >> 16, (d[1] + drawn[1]) >> 16);
    kept = mcg_clamp_halves(v, -127, 127);
    *over |= v ^ kept;
    return kept;
}

#endif /* MCG_HAS_AVX2 */

#endif /* MCG_AVX2_H */
