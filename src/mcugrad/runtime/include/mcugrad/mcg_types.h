/* SPDX-License-Identifier: Apache-2.0 */
/* Types and small exact helpers that every kernel shares. Freestanding C11; valid C++17 too. */
#ifndef MCG_TYPES_H
#define MCG_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define MCG_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define MCG_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
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

/** Before a function that compilers vectorise as long as they know that its arrays do not overlap: inlined,
 * `restrict` would be forgotten. */
#if defined(__GNUC__)
#define MCG_APART __attribute__((noinline))
#else
#define MCG_APART
#endif

#ifndef MCG_STATUS_DEFINED
#define MCG_STATUS_DEFINED
/** Every status, once: name, value, text. The enum and the texts cannot drift apart. */
#define MCG_STATUS_LIST(X)                                               \
    X(MCG_OK, 0, "ok")                                                   \
    X(MCG_ERR_NULL, -1, "a pointer that must not be null is null")       \
    X(MCG_ERR_LABEL, -2, "the label is not below the number of classes") \
    X(MCG_ERR_STATE, -3, "the model was not initialised")                \
    X(MCG_ERR_RATE, -4, "the learning rate is negative or not finite")
#define MCG_STATUS_ENUM(name, value, text) name = (value),
typedef enum { MCG_STATUS_LIST(MCG_STATUS_ENUM) } mcg_status_t;
#undef MCG_STATUS_ENUM
#endif /* MCG_STATUS_DEFINED */

#endif /* MCG_TYPES_H */
