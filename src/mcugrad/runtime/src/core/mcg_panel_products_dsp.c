/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Eight sums, two words of A and two of B, and both addresses are all 14 registers that there are, and
 * compilers do not get by with them. What else is needed is parked: in registers for floats, which callers
 * expect to lose, or on the stack.
 */
#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
#if MCG_ARM_FLOATS
#define MCG_PARK_OPEN                    "vldmia r2, {s0-s4}\n\t"
#define MCG_PARK_CLOSE                   ""
#define MCG_PARKED(place, reg)           "vmov " reg ", s" #place "\n\t"
#define MCG_PARK(reg, place)             "vmov s" #place ", " reg "\n\t"
#else
#define MCG_PARK_OPEN                    "ldmia r2, {r4-r8}\n\t" "sub sp, sp, #24\n\t" "stmia sp, {r4-r8}\n\t"
#define MCG_PARK_CLOSE                   "add sp, sp, #24\n\t"
#define MCG_PARKED(place, reg)           "ldr " reg ", [sp, #4 * " #place "]\n\t"
#define MCG_PARK(reg, place)             "str " reg ", [sp, #4 * " #place "]\n\t"
#endif

/* 11 instructions, 44 bytes, for 16 products. */
#define MCG_PANEL_STEP                                                                          \
    "ldrd r2, r3, [r0], #8\n\t"                                                                 \
    "ldrd r12, lr, [r1], #16\n\t"                                                               \
    "smlad r4, r2, r12, r4\n\t" "smlad r5, r2, lr, r5\n\t"                                      \
    "smlad r8, r3, r12, r8\n\t" "smlad r9, r3, lr, r9\n\t"                                      \
    "ldrd r12, lr, [r1, #-8]\n\t"                                                               \
    "smlad r6, r2, r12, r6\n\t" "smlad r7, r2, lr, r7\n\t"                                      \
    "smlad r10, r3, r12, r10\n\t" "smlad r11, r3, lr, r11\n\t"

/* Parked: 0 end of B, 1 start, 2 sums, 3 end of sums, 4 where the loop is entered, 5 B. The loop does eight
 * steps; of the first round it leaves out what makes their number a multiple. */
MCG_NAKED
void mcg_panel_products(MCG_SPARE const uint32_t *a, MCG_SPARE const uint32_t *b,
                        MCG_SPARE const mcg_products_run_t *run)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        MCG_PARK_OPEN
        MCG_PARKED(4, "r3")
        "rsb r3, r3, #0\n\t"
        "and r3, r3, #7\n\t"
        "mov r12, #44\n\t"
        "adr r2, 2f\n\t"
        "mla r2, r3, r12, r2\n\t"
        "orr r2, r2, #1\n\t"
        MCG_PARK("r2", 4)
        MCG_PARK("r1", 5)
        "1:\n\t"
        MCG_PARKED(1, "r2")
        "ldmia r2!, {r4-r11}\n\t"
        MCG_PARK("r2", 1)
        MCG_PARKED(5, "r1")
        MCG_PARKED(4, "r2")
        "bx r2\n\t"
        ".p2align 2\n"
        "2:\n\t"
        MCG_PANEL_STEP MCG_PANEL_STEP MCG_PANEL_STEP MCG_PANEL_STEP
        MCG_PANEL_STEP MCG_PANEL_STEP MCG_PANEL_STEP MCG_PANEL_STEP
        MCG_PARKED(0, "r2")
        "cmp r1, r2\n\t"
        "bne 2b\n\t"
        MCG_PARKED(2, "r2")
        "stmia r2!, {r4-r11}\n\t"
        MCG_PARK("r2", 2)
        MCG_PARKED(3, "r3")
        "cmp r2, r3\n\t"
        "bne 1b\n\t"
        MCG_PARK_CLOSE
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
void mcg_panel_products(const uint32_t *a, const uint32_t *b, const mcg_products_run_t *run)
{
    const int32_t *start = run->start;
    for (int32_t *sums = run->sums; sums != run->sums_end; sums += 8) {
        for (int32_t i = 0; i < 8; i++) {
            int32_t sum = start[i];
            for (int32_t k = 0; k < run->steps; k++) {
                sum = mcg_smlad(a[2 * k + i / 4], b[4 * k + i % 4], sum);
            }
            sums[i] = sum;
        }
        start += 8;
        a += 2 * run->steps;
    }
}
#endif
