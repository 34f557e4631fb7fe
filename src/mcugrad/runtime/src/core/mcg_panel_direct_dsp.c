/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Eight sums are done with where they are: SMMLA multiplies, drops 32 bits and adds the zero point and a
 * half, SSAT drops the fraction and saturates, and two channels of a pixel are stored together. Where a
 * channel has no integer that rounds as its factor does, it goes by floats.
 */
#if MCG_DSP_INSTRUCTIONS && MCG_ARM_FLOATS
/* clang-format off */
/* As mcg_panel_products has it. */
#define MCG_DIRECT_STEP                                                                         \
    "ldrd r2, r3, [r0], #8\n\t"                                                                 \
    "ldrd r12, lr, [r1], #16\n\t"                                                               \
    "smlad r4, r2, r12, r4\n\t" "smlad r5, r2, lr, r5\n\t"                                      \
    "smlad r8, r3, r12, r8\n\t" "smlad r9, r3, lr, r9\n\t"                                      \
    "ldrd r12, lr, [r1, #-8]\n\t"                                                               \
    "smlad r6, r2, r12, r6\n\t" "smlad r7, r2, lr, r7\n\t"                                      \
    "smlad r10, r3, r12, r10\n\t" "smlad r11, r3, lr, r11\n\t"
#define MCG_DIRECT_FIRST(what)                                                                  \
    what("r4", "r2") what("r5", "r2") what("r6", "r2") what("r7", "r2")
#define MCG_DIRECT_SECOND(what)                                                                 \
    what("r8", "r3") what("r9", "r3") what("r10", "r3") what("r11", "r3")
#define MCG_DIRECT_TIMES(sum, mult) "smmla " sum ", " sum ", " mult ", r12\n\t"
#define MCG_DIRECT_BYTE(sum, mult) "ssat " sum ", #8, " sum ", asr #4\n\t"
/* Rounded to nearest, far enough beyond int8, and with the fraction that it would have. */
#define MCG_DIRECT_FLOATS(a, b, c, d)                                                           \
    "vmov s12, s13, " a ", " b "\n\t" "vmov s14, s15, " c ", " d "\n\t"                         \
    "vcvt.f32.s32 s12, s12\n\t" "vcvt.f32.s32 s13, s13\n\t"                                     \
    "vcvt.f32.s32 s14, s14\n\t" "vcvt.f32.s32 s15, s15\n\t"                                     \
    "vmul.f32 s12, s12, s10\n\t" "vmul.f32 s13, s13, s10\n\t"                                   \
    "vmul.f32 s14, s14, s10\n\t" "vmul.f32 s15, s15, s10\n\t"                                   \
    "vcvtr.s32.f32 s12, s12\n\t" "vcvtr.s32.f32 s13, s13\n\t"                                   \
    "vcvtr.s32.f32 s14, s14\n\t" "vcvtr.s32.f32 s15, s15\n\t"                                   \
    "vmov " a ", " b ", s12, s13\n\t" "vmov " c ", " d ", s14, s15\n\t"
#define MCG_DIRECT_NEAR(sum, mult) "ssat " sum ", #12, " sum "\n\t"
#define MCG_DIRECT_WHOLE(sum, mult) "add " sum ", r12, " sum ", lsl #4\n\t"

/* r0 rows. In registers for floats: 0 start, 1 where the loop is entered, 2 factors, 3 outputs, 4 end of the panel of
 * four, 5 that, 6 the zero point, 7 from pixel to pixel, 8 end of the factors, 9 from the next ones to those in floats.
 * The loop does eight steps; of the first round it leaves out what makes their number a multiple. */
MCG_NAKED
void mcg_panel_direct(MCG_SPARE const uint32_t *a, MCG_SPARE const mcg_direct_run_t *run)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "vldmia r1, {s0-s9}\n\t"
        "vmov r3, s1\n\t"
        "rsb r3, r3, #0\n\t"
        "and r3, r3, #7\n\t"
        "mov r12, #44\n\t"
        "adr r2, 2f\n\t"
        "mla r2, r3, r12, r2\n\t"
        "orr r2, r2, #1\n\t"
        "vmov s1, r2\n\t"
        "vmov r2, r3, s8, s9\n\t"
        "vmov r1, s2\n\t"
        "sub r3, r3, r1\n\t"
        "vmov s9, r3\n\t"
        "1:\n\t"
        "vmov r2, r3, s0, s1\n\t"
        "ldmia r2!, {r4-r11}\n\t"
        "vmov s0, r2\n\t"
        "vmov r1, s5\n\t"
        "bx r3\n\t"
        ".p2align 2\n"
        "2:\n\t"
        ".rept 8\n\t" MCG_DIRECT_STEP ".endr\n\t"
        "vmov r2, s4\n\t"
        "cmp r1, r2\n\t"
        "bne 2b\n\t"
        "vmov r1, lr, s2, s3\n\t"
        "ldrd r2, r3, [r1], #8\n\t"
        "vmov r12, s6\n\t"
        "cbz r2, 4f\n\t"
        "cbz r3, 5f\n\t"
        MCG_DIRECT_FIRST(MCG_DIRECT_TIMES) MCG_DIRECT_SECOND(MCG_DIRECT_TIMES)
        "3:\n\t"
        MCG_DIRECT_FIRST(MCG_DIRECT_BYTE) MCG_DIRECT_SECOND(MCG_DIRECT_BYTE)
        "bfi r4, r8, #8, #8\n\t" "bfi r5, r9, #8, #8\n\t"
        "bfi r6, r10, #8, #8\n\t" "bfi r7, r11, #8, #8\n\t"
        "vmov r2, s7\n\t"
        "add r3, lr, r2, lsl #1\n\t"
        "strh r4, [lr]\n\t" "strh r5, [lr, r2]\n\t"
        "strh r6, [r3]\n\t" "strh r7, [r3, r2]\n\t"
        "add lr, lr, #2\n\t"
        "vmov s2, s3, r1, lr\n\t"
        "vmov r2, s8\n\t"
        "cmp r1, r2\n\t"
        "bne 1b\n\t"
        "pop {r4-r11, pc}\n\t"
        "4:\n\t"
        "b 7f\n\t"
        "5:\n\t" /* the second by floats, or both */
        MCG_DIRECT_FIRST(MCG_DIRECT_TIMES)
        "6:\n\t"
        "vmov r3, s9\n\t"
        "add r3, r3, r1\n\t"
        "vldr s10, [r3, #-4]\n\t"
        MCG_DIRECT_FLOATS("r8", "r9", "r10", "r11")
        MCG_DIRECT_SECOND(MCG_DIRECT_NEAR) MCG_DIRECT_SECOND(MCG_DIRECT_WHOLE)
        "b 3b\n\t"
        "7:\n\t" /* the first */
        "vmov r2, s9\n\t"
        "add r2, r2, r1\n\t"
        "vldr s10, [r2, #-8]\n\t"
        MCG_DIRECT_FLOATS("r4", "r5", "r6", "r7")
        MCG_DIRECT_FIRST(MCG_DIRECT_NEAR) MCG_DIRECT_FIRST(MCG_DIRECT_WHOLE)
        "cmp r3, #0\n\t"
        "beq 6b\n\t"
        MCG_DIRECT_SECOND(MCG_DIRECT_TIMES)
        "b 3b\n\t");
}
/* clang-format on */
#else
void mcg_panel_direct(const uint32_t *a, const mcg_direct_run_t *run)
{
    const int32_t *start = run->start;
    const float *scale = run->scale;
    int8_t *y = run->y;
    for (const int32_t *mult = run->mult; mult != run->last; mult += 2) {
        for (int32_t i = 0; i < 8; i++) {
            int32_t sum = start[i];
            for (int32_t k = 0; k < run->steps; k++) {
                sum = mcg_smlad(a[2 * k + i / 4], run->b[4 * k + i % 4], sum);
            }
            y[i % 4 * run->pitch + i / 4] = mult[i / 4] != 0 ? mcg_fixed_output(sum, mult[i / 4], run->zero)
                                                             : mcg_float_output(sum, scale[i / 4], run->zero);
        }
        start += 8;
        scale += 2;
        y += 2;
        a += 2 * run->steps;
    }
}
#endif
