/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* clang-format off */
#define MCG_ADD_PRODUCT(a, b, y) \
    "vmul.f32 s" #a ", s" #a ", s" #b "\n\t" \
    "vadd.f32 s" #y ", s" #y ", s" #a "\n\t"

void mcg_add_products_f32(int32_t count, const float *a, const float *b, float *y)
{
    int32_t left = count - 8;
    __asm__ volatile(
        "cmp %[left], #0\n\t"
        "blt 2f\n"
        "1:\n\t"
        "vldmia %[a]!, {s0-s7}\n\t"
        "vldmia %[b]!, {s8-s15}\n\t"
        "vldmia %[y], {s16-s23}\n\t"
        MCG_ADD_PRODUCT(0, 8, 16) MCG_ADD_PRODUCT(1, 9, 17) MCG_ADD_PRODUCT(2, 10, 18) MCG_ADD_PRODUCT(3, 11, 19)
        MCG_ADD_PRODUCT(4, 12, 20) MCG_ADD_PRODUCT(5, 13, 21) MCG_ADD_PRODUCT(6, 14, 22) MCG_ADD_PRODUCT(7, 15, 23)
        "vstmia %[y]!, {s16-s23}\n\t"
        "subs %[left], #8\n\t"
        "bge 1b\n"
        "2:\n\t"
        "adds %[left], #8\n\t"
        "beq 4f\n"
        "3:\n\t"
        "vldmia %[a]!, {s0}\n\t"
        "vldmia %[b]!, {s8}\n\t"
        "vldr s16, [%[y]]\n\t"
        MCG_ADD_PRODUCT(0, 8, 16)
        "vstmia %[y]!, {s16}\n\t"
        "subs %[left], #1\n\t"
        "bne 3b\n"
        "4:\n\t"
        : [a] "+r"(a), [b] "+r"(b), [y] "+r"(y), [left] "+r"(left)
        :
        : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13",
          "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23");
}
/* clang-format on */
