/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * The loop of products for a core that issues two instructions at a time, of which one may multiply and one
 * may load: words are loaded one by one beside the products of those before, a step ahead, so that none is
 * waited for. 14 instructions and 16 products in 8 cycles. A round is 16 steps, as far as short offsets
 * reach. In the last step nothing is loaded ahead: it may not be there.
 */
/* clang-format off */
/* 52 bytes; `a` and `b` are offsets of the next step, `b1` to `b3` of this one. */
#define MCG_PANEL_AHEAD(b1, b2, b3, b, a0, a1)                                  \
    "smlad r4, r2, r12, r4\n\t"   "ldr.w lr, [r1, #" b1 "]\n\t"                 \
    "smlad r8, r3, r12, r8\n\t"   "ldr.w r12, [r1, #" b2 "]\n\t"                \
    "smlad r5, r2, lr, r5\n\t"                                                  \
    "smlad r9, r3, lr, r9\n\t"    "ldr.w lr, [r1, #" b3 "]\n\t"                 \
    "smlad r6, r2, r12, r6\n\t"                                                 \
    "smlad r10, r3, r12, r10\n\t" "ldr.w r12, [r1, #" b "]\n\t"                 \
    "smlad r7, r2, lr, r7\n\t"    "ldr.n r2, [r0, #" a0 "]\n\t"                 \
    "smlad r11, r3, lr, r11\n\t"  "ldr.n r3, [r0, #" a1 "]\n\t"

/* In registers for floats: 0 where the last round of B begins, 1 start, 2 sums, 3 end of sums, 5 B, 6 where the loop is
 * entered, 7 how much of a round of A is left out. Flags tell all round long whether it is the last one; addresses are
 * those of a whole round, even if it is entered in its middle. */
MCG_NAKED
void mcg_panel_products(MCG_SPARE const uint32_t *a, MCG_SPARE const uint32_t *b,
                        MCG_SPARE const mcg_products_run_t *run)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "vldmia r2, {s0-s4}\n\t"
        "vmov r3, s4\n\t"
        "vmov r2, s0\n\t"
        "rsb r3, r3, #0\n\t"
        "and r3, r3, #15\n\t"
        "lsl r12, r3, #3\n\t"
        "sub r2, r2, #256\n\t"
        "vmov s7, r12\n\t"
        "vmov s0, r2\n\t"
        "sub r1, r1, r12, lsl #1\n\t"
        "vmov s5, r1\n\t"
        "mov r12, #52\n\t"
        "adr r2, 2f\n\t"
        "mla r2, r3, r12, r2\n\t"
        "orr r2, r2, #1\n\t"
        "vmov s6, r2\n\t"
        "1:\n\t"
        "vmov r3, s1\n\t"
        "vmov r1, s5\n\t"
        "ldmia r3!, {r4-r11}\n\t"
        "vmov r12, s7\n\t"
        "vmov lr, s0\n\t"
        "vmov s1, r3\n\t"
        "cmp r1, lr\n\t"
        "vmov lr, s6\n\t"
        "ldr r2, [r0]\n\t"
        "ldr r3, [r0, #4]\n\t"
        "sub r0, r0, r12\n\t"
        "add r12, r1, r12, lsl #1\n\t"
        "ldr r12, [r12]\n\t"
        "bx lr\n\t"
        ".p2align 2\n"
        "2:\n\t"
        MCG_PANEL_AHEAD("4", "8", "12", "16", "8", "12")
        MCG_PANEL_AHEAD("20", "24", "28", "32", "16", "20")
        MCG_PANEL_AHEAD("36", "40", "44", "48", "24", "28")
        MCG_PANEL_AHEAD("52", "56", "60", "64", "32", "36")
        MCG_PANEL_AHEAD("68", "72", "76", "80", "40", "44")
        MCG_PANEL_AHEAD("84", "88", "92", "96", "48", "52")
        MCG_PANEL_AHEAD("100", "104", "108", "112", "56", "60")
        MCG_PANEL_AHEAD("116", "120", "124", "128", "64", "68"));
    __asm__ volatile( /* longer texts than 4095 characters are beyond the standard */
        MCG_PANEL_AHEAD("132", "136", "140", "144", "72", "76")
        MCG_PANEL_AHEAD("148", "152", "156", "160", "80", "84")
        MCG_PANEL_AHEAD("164", "168", "172", "176", "88", "92")
        MCG_PANEL_AHEAD("180", "184", "188", "192", "96", "100")
        MCG_PANEL_AHEAD("196", "200", "204", "208", "104", "108")
        MCG_PANEL_AHEAD("212", "216", "220", "224", "112", "116")
        MCG_PANEL_AHEAD("228", "232", "236", "240", "120", "124")
        "smlad r4, r2, r12, r4\n\t"   "ldr lr, [r1, #244]\n\t"
        "smlad r8, r3, r12, r8\n\t"   "ldr r12, [r1, #248]\n\t"
        "smlad r5, r2, lr, r5\n\t"    "add r0, r0, #128\n\t"
        "smlad r9, r3, lr, r9\n\t"    "ldr lr, [r1, #252]\n\t"
        "smlad r6, r2, r12, r6\n\t"   "beq 3f\n\t"
        "smlad r10, r3, r12, r10\n\t" "ldr r12, [r1, #256]\n\t"
        "smlad r7, r2, lr, r7\n\t"    "ldr r2, [r0]\n\t"
        "smlad r11, r3, lr, r11\n\t"  "ldr r3, [r0, #4]\n\t"
        "vmov lr, s0\n\t"
        "add r1, r1, #256\n\t"
        "cmp r1, lr\n\t"
        "b 2b\n\t"
        "3:\n\t"
        "smlad r10, r3, r12, r10\n\t"
        "smlad r7, r2, lr, r7\n\t"    "vmov r2, s2\n\t"
        "smlad r11, r3, lr, r11\n\t"
        "stmia r2!, {r4-r11}\n\t"
        "vmov r3, s3\n\t"
        "vmov s2, r2\n\t"
        "cmp r2, r3\n\t"
        "bne 1b\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
