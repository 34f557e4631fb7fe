/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Four sums, a word of the row, two of the columns, and their address are all eight registers that most
 * instructions can name; what else is needed lies in the others, or on the stack.
 */
#if MCG_ARMV6M_INSTRUCTIONS
/* clang-format off */
/* 16 instructions, 32 bytes, for 8 products: the word of the row, then twice two columns. */
#define MCG_PAIR_TWO(s0, s1)                                                                    \
    "ldm r1!, {r2, r3}\n\t"                                                                     \
    "muls r2, r0\n\t" "asrs r2, r2, #16\n\t" "adcs " s0 ", r2\n\t"                              \
    "muls r3, r0\n\t" "asrs r3, r3, #16\n\t" "adcs " s1 ", r3\n\t"
#define MCG_PAIR_STEP(at)                                                                       \
    "mov r0, r8\n\t" "ldr r0, [r0, #" at "]\n\t" MCG_PAIR_TWO("r4", "r5") MCG_PAIR_TWO("r6", "r7")

/* r8 row, r9 end of the columns, r10 sums, r11 start; on the stack: columns, bytes that the first round of a
 * row leaves out, where it is entered, end of sums. The loop does eight steps. */
MCG_NAKED
void mcg_pair_products(MCG_SPARE const uint32_t *a, MCG_SPARE const uint32_t *b,
                       MCG_SPARE const mcg_pair_run_t *run)
{
    __asm__ volatile(
        ".syntax unified\n\t"
        "push {r4-r7, lr}\n\t"
        "mov r4, r8\n\t" "mov r5, r9\n\t" "mov r6, r10\n\t" "mov r7, r11\n\t"
        "push {r4-r7}\n\t"
        "mov r8, r0\n\t"
        "ldm r2!, {r4, r5, r6, r7}\n\t"
        "mov r11, r4\n\t"
        "mov r10, r5\n\t"
        "lsls r0, r7, #4\n\t"
        "adds r0, r0, r1\n\t"
        "mov r9, r0\n\t"
        "rsbs r4, r7, #0\n\t"
        "movs r0, #7\n\t"
        "ands r4, r0\n\t" /* steps that the first round leaves out */
        "lsls r5, r4, #5\n\t"
        "adr r0, 2f\n\t"
        "adds r0, r0, r5\n\t"
        "adds r0, r0, #1\n\t"
        "lsls r5, r4, #2\n\t"
        "rsbs r5, r5, #0\n\t"
        "push {r6}\n\t"
        "push {r0}\n\t"
        "push {r5}\n\t"
        "push {r1}\n"
        "1:\n\t"
        "mov r0, r11\n\t"
        "ldr r4, [r0, #0]\n\t"
        "mov r5, r4\n\t" "mov r6, r4\n\t" "mov r7, r4\n\t"
        "movs r0, #16\n\t"
        "add r11, r0\n\t"
        "ldr r2, [sp, #4]\n\t"
        "add r8, r2\n\t"
        "ldr r1, [sp, #0]\n\t"
        "ldr r2, [sp, #8]\n\t"
        "bx r2\n\t"
        ".p2align 2\n"
        "2:\n\t"
        MCG_PAIR_STEP("0") MCG_PAIR_STEP("4") MCG_PAIR_STEP("8") MCG_PAIR_STEP("12")
        MCG_PAIR_STEP("16") MCG_PAIR_STEP("20") MCG_PAIR_STEP("24") MCG_PAIR_STEP("28")
        "movs r0, #32\n\t"
        "add r8, r0\n\t"
        "cmp r1, r9\n\t"
        "beq 3f\n\t"
        "b 2b\n"
        "3:\n\t"
        "mov r0, r10\n\t"
        "stm r0!, {r4, r5, r6, r7}\n\t"
        "mov r10, r0\n\t"
        "ldr r2, [sp, #12]\n\t"
        "cmp r0, r2\n\t"
        "beq 4f\n\t"
        "b 1b\n"
        "4:\n\t"
        "add sp, sp, #16\n\t"
        "pop {r4-r7}\n\t"
        "mov r8, r4\n\t" "mov r9, r5\n\t" "mov r10, r6\n\t" "mov r11, r7\n\t"
        "pop {r4-r7, pc}\n\t");
}
/* clang-format on */
#else
/* The word's product, its upper half, and what was shifted out last. */
static int32_t mcg_pair_product(uint32_t a, uint32_t b)
{
    const uint32_t product = a * b;
    return (int16_t)(product >> 16) + (int32_t)((product >> 15) & 1U);
}

void mcg_pair_products(const uint32_t *a, const uint32_t *b, const mcg_pair_run_t *run)
{
    const mcg_pair_row_t *row = run->start;
    for (int32_t *sums = run->sums; sums != run->sums_end; sums += 4) {
        for (int32_t i = 0; i < 4; i++) {
            int32_t sum = row->start;
            for (int32_t k = 0; k < run->steps; k++) {
                sum += mcg_pair_product(a[k], b[4 * k + i]);
            }
            sums[i] = sum;
        }
        row++;
        a += run->steps;
    }
}
#endif
