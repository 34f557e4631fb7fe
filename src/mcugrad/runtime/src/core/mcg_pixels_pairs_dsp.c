/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* Two words in two registers to four in these and the next two. */
#define MCG_PIXELS_TWO(a, b, c, d)                                                                       \
    "pkhbt " c ", " a ", " b ", lsl #16\n\t" "pkhtb " d ", " b ", " a ", asr #16\n\t"                    \
    "sxtab16 " a ", r12, " c "\n\t" "sxtab16 " b ", r12, " c ", ror #8\n\t"                              \
    "sxtab16 " c ", r12, " d "\n\t" "sxtab16 " d ", r12, " d ", ror #8\n\t"

/* Two pairs at a time; an odd one first. r0 panel; r1 the first; r2 from one to the next, lr three times that; r3
 * pairs; r12 minus the zero point. */
MCG_NAKED void mcg_pixels_pairs(MCG_SPARE uint32_t *panel, MCG_SPARE const int8_t *x, MCG_SPARE int32_t step,
                                MCG_SPARE int32_t pairs, MCG_SPARE uint32_t less)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "ldr r12, [sp, #36]\n\t"
        "add lr, r2, r2, lsl #1\n\t"
        "lsrs r3, r3, #1\n\t"
        "bcc 1f\n\t"
        "ldr r4, [r1]\n\t" "ldr r5, [r1, r2]\n\t"
        "add r1, r1, r2, lsl #1\n\t"
        MCG_PIXELS_TWO("r4", "r5", "r6", "r7")
        "stmia r0!, {r4-r7}\n\t"
        "cbz r3, 2f\n\t"
        "1:\n\t"
        "ldr r4, [r1]\n\t" "ldr r5, [r1, r2]\n\t"
        "ldr r8, [r1, r2, lsl #1]\n\t" "ldr r9, [r1, lr]\n\t"
        "add r1, r1, r2, lsl #2\n\t"
        MCG_PIXELS_TWO("r4", "r5", "r6", "r7")
        MCG_PIXELS_TWO("r8", "r9", "r10", "r11")
        "stmia r0!, {r4-r11}\n\t"
        "subs r3, r3, #1\n\t"
        "bne 1b\n\t"
        "2:\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
void mcg_pixels_pairs(uint32_t *panel, const int8_t *x, int32_t step, int32_t pairs, uint32_t less)
{
    for (int32_t i = 0; i < pairs; i++) {
        mcg_pixels_two(mcg_load32(x), mcg_load32(x + step), less, panel + 4 * i);
        x += 2 * step;
    }
}
#endif
