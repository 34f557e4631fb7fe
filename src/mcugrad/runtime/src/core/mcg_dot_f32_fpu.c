/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Two rows at once have 16 of the 32 registers for their partial sums and share what was loaded of x: 37
 * instructions for 16 products. Each product is rounded, then each sum. VMLA would give the same bits in one
 * instruction, and takes three cycles on a Cortex-M4 where these two take one each.
 */
/* clang-format off */
/* x is in s16 to s23, weights in s24 to s31, sums of the rows in s0 to s7 and s8 to s15. */
#define MCG_DOT_TIMES(x, w)  "vmul.f32 s" #w ", s" #x ", s" #w "\n\t"
#define MCG_DOT_PLUS(w, sum) "vadd.f32 s" #sum ", s" #sum ", s" #w "\n\t"
#define MCG_DOT_PRODUCTS                                                    \
    MCG_DOT_TIMES(16, 24) MCG_DOT_TIMES(17, 25) MCG_DOT_TIMES(18, 26) MCG_DOT_TIMES(19, 27) \
    MCG_DOT_TIMES(20, 28) MCG_DOT_TIMES(21, 29) MCG_DOT_TIMES(22, 30) MCG_DOT_TIMES(23, 31)
#define MCG_DOT_SUMS(s0, s1, s2, s3, s4, s5, s6, s7)                        \
    MCG_DOT_PLUS(24, s0) MCG_DOT_PLUS(25, s1) MCG_DOT_PLUS(26, s2) MCG_DOT_PLUS(27, s3) \
    MCG_DOT_PLUS(28, s4) MCG_DOT_PLUS(29, s5) MCG_DOT_PLUS(30, s6) MCG_DOT_PLUS(31, s7)
/* One more term of both rows, if there is one: it is the lane's. */
#define MCG_DOT_TERM(first, second)                                         \
    "subs %[left], #1\n\t"                                              \
    "blt 3f\n\t"                                                        \
    "vldmia %[x]!, {s16}\n\t"                                           \
    "vldmia %[a]!, {s24}\n\t"                                           \
    "vldmia %[b]!, {s25}\n\t"                                           \
    MCG_DOT_TIMES(16, 24) MCG_DOT_TIMES(16, 25) MCG_DOT_PLUS(24, first) MCG_DOT_PLUS(25, second)
#define MCG_DOT_JOIN(to, from) "vadd.f32 s" #to ", s" #to ", s" #from "\n\t"

/* The sums of two rows, which may be the same. */
static void mcg_dot_two_f32(int32_t count, const float *x, const float *a, const float *b, float *MCG_RESTRICT sums)
{
    static const float zeros[16] = {0.0F};
    int32_t left = count - 8;
    __asm__ volatile(
        "vldmia %[zeros], {s0-s15}\n\t"
        "cmp %[left], #0\n\t"
        "blt 2f\n"
        "1:\n\t"
        "vldmia %[x]!, {s16-s23}\n\t"
        "vldmia %[a]!, {s24-s31}\n\t"
        MCG_DOT_PRODUCTS
        MCG_DOT_SUMS(0, 1, 2, 3, 4, 5, 6, 7)
        "vldmia %[b]!, {s24-s31}\n\t"
        MCG_DOT_PRODUCTS
        MCG_DOT_SUMS(8, 9, 10, 11, 12, 13, 14, 15)
        "subs %[left], #8\n\t"
        "bge 1b\n"
        "2:\n\t"
        "adds %[left], #8\n\t"
        MCG_DOT_TERM(0, 8) MCG_DOT_TERM(1, 9) MCG_DOT_TERM(2, 10) MCG_DOT_TERM(3, 11)
        MCG_DOT_TERM(4, 12) MCG_DOT_TERM(5, 13) MCG_DOT_TERM(6, 14)
        "3:\n\t"
        MCG_DOT_JOIN(0, 4) MCG_DOT_JOIN(2, 6) MCG_DOT_JOIN(1, 5) MCG_DOT_JOIN(3, 7)
        MCG_DOT_JOIN(8, 12) MCG_DOT_JOIN(10, 14) MCG_DOT_JOIN(9, 13) MCG_DOT_JOIN(11, 15)
        MCG_DOT_JOIN(0, 2) MCG_DOT_JOIN(1, 3) MCG_DOT_JOIN(8, 10) MCG_DOT_JOIN(9, 11)
        "vadd.f32 s0, s0, s1\n\t"
        "vadd.f32 s1, s8, s9\n\t"
        "vstmia %[sums], {s0-s1}\n\t"
        : [x] "+r"(x), [a] "+r"(a), [b] "+r"(b), [left] "+r"(left)
        : [zeros] "r"(zeros), [sums] "r"(sums)
        : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13",
          "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28",
          "s29", "s30", "s31");
}
/* clang-format on */

void mcg_dot_f32(int32_t count, int32_t rows, const float *x, const float *w, float *sum)
{
    int32_t r = 0;
    for (; r + 2 <= rows; r += 2) {
        mcg_dot_two_f32(count, x, w, w + count, sum + r);
        w += 2 * count;
    }
    if (r < rows) {
        float twice[2];
        mcg_dot_two_f32(count, x, w, w, twice);
        sum[r] = twice[0];
    }
}
