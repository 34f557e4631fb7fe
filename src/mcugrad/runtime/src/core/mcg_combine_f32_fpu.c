/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* clang-format off */
#define MCG_COMBINE(w, sum)                         \
    "vmul.f32 s" #w ", s" #w ", s24\n\t"            \
    "vadd.f32 s" #sum ", s" #sum ", s" #w "\n\t"

/* Sixteen sums stay in registers while the rows are added, one after the other. */
static void mcg_combine_sixteen_f32(int32_t rows, int32_t count, const float *e, const uint16_t *active,
                                    const float *w, float *sum)
{
    static const float zeros[16] = {0.0F};
    int32_t r = -1;
    int32_t row;
    const float *from;
    __asm__ volatile(
        "vldmia %[zeros], {s0-s15}\n"
        "1:\n\t"
        "adds %[r], #1\n\t"
        "cmp %[r], %[rows]\n\t"
        "bge 3f\n\t"
        "ldr %[row], [%[e]], #4\n\t"
        "vmov s24, %[row]\n\t"
        "lsls %[row], %[row], #1\n\t" /* 0 and -0 */
        "beq 1b\n\t"
        "mov %[row], %[r]\n\t"
        "cmp %[active], #0\n\t"
        "beq 2f\n\t"
        "ldrh %[row], [%[active], %[r], lsl #1]\n"
        "2:\n\t"
        "mla %[from], %[row], %[pitch], %[w]\n\t"
        "vldmia %[from]!, {s16-s23}\n\t"
        MCG_COMBINE(16, 0) MCG_COMBINE(17, 1) MCG_COMBINE(18, 2) MCG_COMBINE(19, 3)
        MCG_COMBINE(20, 4) MCG_COMBINE(21, 5) MCG_COMBINE(22, 6) MCG_COMBINE(23, 7)
        "vldmia %[from], {s16-s23}\n\t"
        MCG_COMBINE(16, 8) MCG_COMBINE(17, 9) MCG_COMBINE(18, 10) MCG_COMBINE(19, 11)
        MCG_COMBINE(20, 12) MCG_COMBINE(21, 13) MCG_COMBINE(22, 14) MCG_COMBINE(23, 15)
        "b 1b\n"
        "3:\n\t"
        "vstmia %[sum], {s0-s15}\n\t"
        : [r] "+&r"(r), [e] "+&r"(e), [row] "=&r"(row), [from] "=&r"(from)
        : [rows] "r"(rows), [active] "r"(active == NULL ? active : active + 1), [w] "r"(w),
          [pitch] "r"(4 * count), [sum] "r"(sum), [zeros] "r"(zeros)
        : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13",
          "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24");
}
/* clang-format on */

void mcg_combine_f32(int32_t rows, int32_t count, const float *e, const uint16_t *active, const float *w,
                     float *sum)
{
    const int32_t whole = count - count % 16;
    for (int32_t i = 0; i < whole; i += 16) {
        mcg_combine_sixteen_f32(rows, count, e, active, w + i, sum + i);
    }
    if (whole < count) {
        for (int32_t i = whole; i < count; i++) {
            sum[i] = 0.0F;
        }
        for (int32_t r = 0; r < rows; r++) {
            if (e[r] != 0.0F) {
                mcg_add_scaled_f32(count - whole, e + r, w + mcg_active_at(active, r) * count + whole,
                                   sum + whole);
            }
        }
    }
}
