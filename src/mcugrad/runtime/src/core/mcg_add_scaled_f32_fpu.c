/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* clang-format off */
#define MCG_ADD_SCALED(product, y) \
    "vmul.f32 s" #product ", s" #product ", s16\n\t" \
    "vadd.f32 s" #y ", s" #y ", s" #product "\n\t"

void mcg_add_scaled_f32(int32_t count, const float *factor, const float *x, float *y)
{
    int32_t left = count - 8;
    __asm__ volatile(
        "vldr s16, [%[factor]]\n\t"
        "cmp %[left], #0\n\t"
        "blt 2f\n"
        "1:\n\t"
        "vldmia %[x]!, {s0-s7}\n\t"
        "vldmia %[y], {s8-s15}\n\t"
        MCG_ADD_SCALED(0, 8) MCG_ADD_SCALED(1, 9) MCG_ADD_SCALED(2, 10) MCG_ADD_SCALED(3, 11)
        MCG_ADD_SCALED(4, 12) MCG_ADD_SCALED(5, 13) MCG_ADD_SCALED(6, 14) MCG_ADD_SCALED(7, 15)
        "vstmia %[y]!, {s8-s15}\n\t"
        "subs %[left], #8\n\t"
        "bge 1b\n"
        "2:\n\t"
        "adds %[left], #8\n\t"
        "beq 4f\n"
        "3:\n\t"
        "vldmia %[x]!, {s0}\n\t"
        "vldr s8, [%[y]]\n\t"
        MCG_ADD_SCALED(0, 8)
        "vstmia %[y]!, {s8}\n\t"
        "subs %[left], #1\n\t"
        "bne 3b\n"
        "4:\n\t"
        : [x] "+r"(x), [y] "+r"(y), [left] "+r"(left)
        : [factor] "r"(factor)
        : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13",
          "s14", "s15", "s16");
}
/* clang-format on */
