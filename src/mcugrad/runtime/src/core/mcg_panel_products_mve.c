/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Sixteen neighbours of two rows and four columns at a time. Loads take words of panels apart by row and
 * column, and a product adds its sixteen to a sum in a register, of which every second one can hold it: all
 * eight do.
 */
#if MCG_MVE_INSTRUCTIONS
/* clang-format off */
/* r1 A, r3 B, r5 steps, r7 start, r9 sums, r11 B again; on the stack the end of the sums, and the steps of a row. */
MCG_NAKED
void mcg_panel_products(MCG_SPARE const uint32_t *a, MCG_SPARE const uint32_t *b,
                        MCG_SPARE const mcg_products_run_t *run)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "vpush {d8-d11}\n\t"
        "mov r11, r1\n\t"
        "mov r1, r0\n\t"
        "ldm r2, {r3, r7, r9, r10, r12}\n\t"
        "push {r10, r12}\n\t"
        "1:\n\t"
        "ldr r5, [sp, #4]\n\t"
        "mov r3, r11\n\t"
        "ldmia r7!, {r0, r2, r4, r6, r8, r10, r12, lr}\n\t"
        "2:\n\t"
        "vld40.32 {q0, q1, q2, q3}, [r3]\n\t"
        "vld41.32 {q0, q1, q2, q3}, [r3]\n\t"
        "vld42.32 {q0, q1, q2, q3}, [r3]\n\t"
        "vld43.32 {q0, q1, q2, q3}, [r3]!\n\t"
        "vld20.32 {q4, q5}, [r1]\n\t"
        "vld21.32 {q4, q5}, [r1]!\n\t"
        "vmladava.s8 r0, q4, q0\n\t"
        "vmladava.s8 r2, q4, q1\n\t"
        "vmladava.s8 r4, q4, q2\n\t"
        "vmladava.s8 r6, q4, q3\n\t"
        "subs r5, r5, #4\n\t"
        "vmladava.s8 r8, q5, q0\n\t"
        "vmladava.s8 r10, q5, q1\n\t"
        "vmladava.s8 r12, q5, q2\n\t"
        "vmladava.s8 lr, q5, q3\n\t"
        "bne 2b\n\t"
        "stmia r9!, {r0, r2, r4, r6, r8, r10, r12, lr}\n\t"
        "ldr r5, [sp]\n\t"
        "cmp r9, r5\n\t"
        "bne 1b\n\t"
        "add sp, sp, #8\n\t"
        "vpop {d8-d11}\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
void mcg_panel_products(const uint32_t *a, const uint32_t *b, const mcg_products_run_t *run)
{
    const int32_t *start = run->start;
    for (int32_t *sums = run->sums; sums != run->sums_end; sums += 8) {
        for (int32_t i = 0; i < 8; i++) {
            uint32_t sum = (uint32_t)start[i];
            for (int32_t k = 0; k < run->steps; k++) {
                for (uint32_t j = 0; j < 4U; j++) {
                    sum += (uint32_t)(mcg_byte(a[2 * k + i / 4], j) * mcg_byte(b[4 * k + i % 4], j));
                }
            }
            sums[i] = (int32_t)sum;
        }
        start += 8;
        a += 2 * run->steps;
    }
}
#endif
