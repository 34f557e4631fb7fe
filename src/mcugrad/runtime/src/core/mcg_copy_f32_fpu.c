/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Compilers move a float at a time, or call memcpy, which firmware need not have. */
void mcg_copy_f32(int32_t count, const float *source, float *to)
{
    int32_t left = count - 8;
    __asm__ volatile(
        "cmp %[left], #0\n\t"
        "blt 2f\n"
        "1:\n\t"
        "vldmia %[source]!, {s0-s7}\n\t"
        "vstmia %[to]!, {s0-s7}\n\t"
        "subs %[left], #8\n\t"
        "bge 1b\n"
        "2:\n\t"
        "adds %[left], #8\n\t"
        "beq 4f\n"
        "3:\n\t"
        "vldmia %[source]!, {s0}\n\t"
        "vstmia %[to]!, {s0}\n\t"
        "subs %[left], #1\n\t"
        "bne 3b\n"
        "4:\n\t"
        : [source] "+r"(source), [to] "+r"(to), [left] "+r"(left)
        :
        : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7");
}
