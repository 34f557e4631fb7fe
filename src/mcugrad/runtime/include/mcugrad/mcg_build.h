/* SPDX-License-Identifier: Apache-2.0 */
/* What the compiler is told and asked, so that every one of them gives the same bytes, whatever its flags. */
#ifndef MCG_BUILD_H
#define MCG_BUILD_H

/** Whether this is gcc itself, and no compiler that speaks like it. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CC_ARM) && !defined(__ICCARM__)
#define MCG_GCC 1
#else
#define MCG_GCC 0
#endif

/*
 * a * b + c is two roundings here, and never one: this file says so itself, because compilers contract by
 * default (gcc in its GNU dialects and in C++, clang since 14). Clang disregards it where a flag asks for
 * more than the default, as -ffp-contract=fast does: the self-test tells.
 */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
/* It has no macro to see that sums may be reordered or quotients become products, so that is undone. */
#if __clang_major__ >= 18
#pragma clang fp reassociate(off) reciprocal(off)
#endif
#elif MCG_GCC
#pragma GCC push_options /* popped at the end of a model, for whoever includes it in a larger source */
#pragma GCC optimize("-ffp-contract=off")
#if defined(__thumb__) && !defined(__thumb2__)
/* With -Os functions free their stack by popping into r0 to r3, which gcc (12 at least) forgets where it
 * reckons which registers outlive a call. */
#pragma GCC optimize("-fno-ipa-ra")
#endif
#else
#pragma STDC FP_CONTRACT OFF
#endif

/* What no pragma can undo is refused. */
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error \
    "fast-math changes what the model computes: compile this file without -ffast-math, -Ofast and their parts"
#endif
/* 16 is as good as 0: it is about half precision, which nothing here uses. */
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "floats are computed in more than 32 bits, as x87 does: compile this file with -msse2 -mfpmath=sse"
#endif
#if (defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) || defined(__ARM_BIG_ENDIAN) || \
    defined(__BIG_ENDIAN__)
#error "the model's memory is little-endian: compile without -mbig-endian, for a little-endian core"
#endif

/** A condition that stops the build with a text. */
#ifdef __cplusplus
#define MCG_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define MCG_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/** `restrict`, which C++ does not have. */
#ifndef __cplusplus
#define MCG_RESTRICT restrict
#elif defined(__GNUC__) || defined(__clang__) || defined(__ICCARM__)
#define MCG_RESTRICT __restrict
#else
#define MCG_RESTRICT
#endif

/**
 * Before a loop that keeps every register of an Armv7-M core busy: unrolled, it would spill them. Armv6-M
 * spills either way, and other processors unroll and vectorise as their compilers see fit.
 */
#if defined(__ARM_ARCH_ISA_THUMB) && !defined(__ARM_ARCH_ISA_ARM)
#if __ARM_ARCH_ISA_THUMB == 2
#define MCG_ROLLED _Pragma("GCC unroll 1")
#endif
#endif
#ifndef MCG_ROLLED
#define MCG_ROLLED
#endif

/** Before a function that must not be inlined: because of its many callers, or because compilers vectorise it
 * as long as they know that its arrays do not overlap; inlined, `restrict` would be forgotten. */
#if defined(__GNUC__)
#define MCG_APART __attribute__((noinline))
#else
#define MCG_APART
#endif

/** Of a function that only some bodies of its callers call, and of a parameter that only assembler reads. */
#if defined(__GNUC__)
#define MCG_SPARE __attribute__((unused))
#else
#define MCG_SPARE
#endif

/** Before a function that is assembler alone: a loop which needs every register there is. */
#if MCG_GCC
#define MCG_NAKED __attribute__((naked, noinline, noclone, noipa))
#else
#define MCG_NAKED __attribute__((naked, noinline))
#endif

#endif /* MCG_BUILD_H */
