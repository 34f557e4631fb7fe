/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

#if MCG_MVE_INSTRUCTIONS
/* clang-format off */
#define MCG_ACROSS_FOUR                                                     \
    "ldr r4, [r0]\n\t" "ldr r5, [r0, r1]\n\t"                             \
    "add r0, r0, r1, lsl #1\n\t"                                           \
    "ldr r6, [r0]\n\t" "ldr r7, [r0, r1]\n\t"                             \
    "add r0, r0, r1, lsl #1\n\t"                                           \
    "stmia r12!, {r4-r7}\n\t"

/* Of sixteen places at a time, so many times: they are read word by word, for they may lie anywhere. r0 first place; r1
 * from place to place; r2 times; r3 panel, and r12 the other one, or NULL. */
MCG_NAKED static void mcg_across_vectors(MCG_SPARE const int8_t *from, MCG_SPARE int32_t pitch,
                                         MCG_SPARE int32_t times, MCG_SPARE uint32_t *panel,
                                         MCG_SPARE uint32_t *next)
{
    __asm__ volatile(
        "push {r4-r8, lr}\n\t"
        "ldr r8, [sp, #24]\n\t"
        "sub sp, sp, #64\n\t"
        "1:\n\t"
        "mov r12, sp\n\t"
        MCG_ACROSS_FOUR MCG_ACROSS_FOUR MCG_ACROSS_FOUR MCG_ACROSS_FOUR
        "mov r12, sp\n\t"
        "vld40.8 {q0, q1, q2, q3}, [r12]\n\t"
        "vld41.8 {q0, q1, q2, q3}, [r12]\n\t"
        "vld42.8 {q0, q1, q2, q3}, [r12]\n\t"
        "vld43.8 {q0, q1, q2, q3}, [r12]\n\t"
        "cmp r8, #0\n\t"
        "beq 3f\n\t"
        "vst20.32 {q0, q1}, [r3]\n\t"
        "vst21.32 {q0, q1}, [r3]!\n\t"
        "vst20.32 {q2, q3}, [r8]\n\t"
        "vst21.32 {q2, q3}, [r8]!\n\t"
        "subs r2, r2, #1\n\t"
        "bne 1b\n\t"
        "b 4f\n\t"
        "3:\n\t"
        "vst40.32 {q0, q1, q2, q3}, [r3]\n\t"
        "vst41.32 {q0, q1, q2, q3}, [r3]\n\t"
        "vst42.32 {q0, q1, q2, q3}, [r3]\n\t"
        "vst43.32 {q0, q1, q2, q3}, [r3]!\n\t"
        "subs r2, r2, #1\n\t"
        "bne 1b\n\t"
        "4:\n\t"
        "add sp, sp, #64\n\t"
        "pop {r4-r8, pc}\n\t");
}
/* clang-format on */
#endif

void mcg_panel_across(const int8_t *from, int32_t pitch, int32_t words, uint32_t *panel, uint32_t *next)
{
    uint32_t more[2];
#if MCG_MVE_INSTRUCTIONS
    const int32_t vectors = words / 4;
    if (vectors != 0) {
        mcg_across_vectors(from, pitch, vectors, panel, next);
        from += 16 * vectors * pitch;
        panel += (next == NULL ? 16 : 8) * vectors;
        next += next == NULL ? 0 : 8 * vectors;
        words &= 3;
    }
#endif
    for (; words > 0; words--) {
        uint32_t place[4];
        for (int32_t i = 0; i < 4; i++) {
            place[i] = mcg_load32(from + i * pitch);
        }
        mcg_panel_swapped(place, panel, panel + 1, more, more + 1);
        if (next == NULL) {
            panel[2] = more[0];
            panel[3] = more[1];
            panel += 4;
        } else {
            next[0] = more[0];
            next[1] = more[1];
            panel += 2;
            next += 2;
        }
        from += 4 * pitch;
    }
}
