/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* r0 panel; r1 the first; r2 from one to the next; r3 pairs; r12 minus the zero point. */
MCG_NAKED void mcg_pixels_pairs(MCG_SPARE uint32_t *panel, MCG_SPARE const int8_t *x, MCG_SPARE int32_t step,
                                MCG_SPARE int32_t pairs, MCG_SPARE uint32_t less)
{
    __asm__ volatile(
        "ldr r12, [sp]\n\t"
        "push {r4-r7}\n\t"
        "1:\n\t"
        "ldr r4, [r1]\n\t"
        "ldr r5, [r1, r2]\n\t"
        "add r1, r1, r2, lsl #1\n\t"
        "pkhbt r6, r4, r5, lsl #16\n\t"
        "pkhtb r7, r5, r4, asr #16\n\t"
        "sxtab16 r4, r12, r6\n\t"
        "sxtab16 r5, r12, r6, ror #8\n\t"
        "sxtab16 r6, r12, r7\n\t"
        "sxtab16 r7, r12, r7, ror #8\n\t"
        "stmia r0!, {r4-r7}\n\t"
        "subs r3, r3, #1\n\t"
        "bne 1b\n\t"
        "pop {r4-r7}\n\t"
        "bx lr\n\t");
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
