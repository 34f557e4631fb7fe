/* SPDX-License-Identifier: Apache-2.0 */
/* What gcc and its library may refer to in any freestanding program; zig brings its own. */
#include <stddef.h>

/* Otherwise gcc finds the loop in memcpy and replaces it by a call of memcpy. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

/* Linked as a whole, a program calls them only after its unused functions are gone. */
#define MCG_USED __attribute__((used))

MCG_USED void *memcpy(void *restrict to, const void *restrict from, size_t count);
MCG_USED void *memmove(void *to, const void *from, size_t count);
MCG_USED void *memset(void *to, int value, size_t count);
MCG_USED int memcmp(const void *a, const void *b, size_t count);
void __aeabi_unwind_cpp_pr0(void);
void __aeabi_unwind_cpp_pr1(void);

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    while (count-- != 0) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t < f) {
        while (count-- != 0) {
            *t++ = *f++;
        }
    } else {
        while (count != 0) {
            --count;
            t[count] = f[count];
        }
    }
    return to;
}

void *memset(void *to, int value, size_t count)
{
    unsigned char *t = to;
    while (count-- != 0) {
        *t++ = (unsigned char)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t count)
{
    const unsigned char *x = a;
    const unsigned char *y = b;
    for (; count != 0; --count, ++x, ++y) {
        if (*x != *y) {
            return *x < *y ? -1 : 1;
        }
    }
    return 0;
}

/* Unwind tables inside libgcc refer to these; without them the whole C++ unwinder would be linked. */
void __aeabi_unwind_cpp_pr0(void) {}

void __aeabi_unwind_cpp_pr1(void) {}
