/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

#if MCG_ARMV6M_INSTRUCTIONS
/* clang-format off */
/* r0 sums, r2 output, r4 mult, r5 32 - shift, r6 range of outputs, r7 shift, r8 round, r9 least, r10 end of the row,
 * r11 minus the smallest one, r12 zero point, lr pitch; on the stack: end, what is left, from sums to rows, bytes of a
 * row, from its end to the next, from the end of its outputs to the next, what was told. */
MCG_NAKED
int32_t mcg_pair_outputs(MCG_SPARE mcg_pair_outputs_t *c)
{
    __asm__ volatile(
        ".syntax unified\n\t"
        "push {r4-r7, lr}\n\t"
        "mov r4, r8\n\t" "mov r5, r9\n\t" "mov r6, r10\n\t" "mov r7, r11\n\t"
        "push {r0, r4-r7}\n\t"
        "ldm r0!, {r1, r2, r3, r4, r5, r6, r7}\n\t"
        "mov lr, r5\n\t"
        "mov r12, r6\n\t"
        "mov r9, r7\n\t"
        "subs r2, r2, r1\n\t"
        "adds r2, r2, #4\n\t"    /* from sums to rows, less what sums begin with */
        "mov r8, r3\n\t"
        "ldm r0!, {r6, r7}\n\t"
        "mov r11, r7\n\t"
        "ldr r3, [r0, #0]\n\t"   /* bytes */
        "lsrs r0, r3, #2\n\t"
        "muls r5, r0\n\t"
        "movs r0, #1\n\t"
        "subs r5, r0, r5\n\t"
        "movs r0, #16\n\t"
        "subs r0, r0, r3\n\t"
        "push {r0, r5}\n\t"
        "movs r7, #0\n\t"
        "push {r2, r3}\n\t"
        "push {r4, r7}\n\t"
        "mov r2, r8\n\t"
        "mov r0, r1\n"
        "1:\n\t" /* a row */
        "ldr r1, [sp, #8]\n\t"
        "adds r1, r1, r0\n\t"
        "ldm r1!, {r4, r5, r7}\n\t"
        "mov r8, r5\n\t"
        "movs r5, #32\n\t"
        "subs r5, r5, r7\n\t"
        "ldr r1, [sp, #12]\n\t"
        "adds r1, r1, r0\n\t"
        "mov r10, r1\n"
        "2:\n\t" /* an output */
        "ldm r0!, {r1}\n\t"
        "cmp r1, r9\n\t"
        "blt 5f\n\t"
        "asrs r3, r1, #12\n\t"
        "muls r3, r4\n\t"
        "lsls r1, r1, #20\n\t"
        "lsrs r1, r1, #20\n\t"
        "muls r1, r4\n\t"
        "lsrs r1, r1, #12\n\t"
        "adds r3, r3, r1\n\t"
        "add r3, r8\n\t"
        "mov r1, r3\n\t"
        "asrs r1, r7\n\t"
        "add r1, r12\n\t"
        "lsls r3, r5\n\t"
        "lsrs r3, r3, #26\n\t"
        "beq 6f\n\t" /* close to a tie */
        "mov r3, r1\n\t"
        "add r3, r11\n\t"
        "cmp r3, r6\n\t"
        "bhi 7f\n"
        "3:\n\t"
        "strb r1, [r2]\n\t"
        "add r2, lr\n"
        "4:\n\t"
        "cmp r0, r10\n\t"
        "bne 2b\n\t"
        "ldr r1, [sp, #16]\n\t"
        "adds r0, r0, r1\n\t"
        "ldr r1, [sp, #20]\n\t"
        "adds r2, r2, r1\n\t"
        "ldr r1, [sp, #0]\n\t"
        "cmp r0, r1\n\t"
        "bne 1b\n\t"
        "ldr r1, [sp, #8]\n\t"
        "adds r1, r1, r0\n\t"
        "subs r1, r1, #4\n\t"
        "ldr r4, [sp, #4]\n\t"   /* what is left */
        "ldr r3, [sp, #24]\n\t"
        "stm r3!, {r0, r1, r2}\n\t"
        "adds r3, r3, #16\n\t"
        "mov r7, r11\n\t"
        "stm r3!, {r6, r7}\n\t"
        "mov r0, r4\n\t"
        "add sp, sp, #28\n\t"
        "pop {r4-r7}\n\t"
        "mov r8, r4\n\t" "mov r9, r5\n\t" "mov r10, r6\n\t" "mov r11, r7\n\t"
        "pop {r4-r7, pc}\n"
        "5:\n\t"
        "mov r1, r12\n\t"
        "strb r1, [r2]\n\t"
        "add r2, lr\n\t"
        "b 4b\n"
        "6:\n\t" /* left: so many are behind it; the row is the last one for now */
        "add r2, lr\n\t"
        "mov r1, r10\n\t"
        "subs r1, r1, r0\n\t"
        "lsrs r1, r1, #2\n\t"
        "movs r3, #1\n\t"
        "lsls r3, r1\n\t"
        "ldr r1, [sp, #4]\n\t"
        "orrs r1, r3\n\t"
        "str r1, [sp, #4]\n\t"
        "ldr r1, [sp, #16]\n\t"
        "add r1, r10\n\t"
        "str r1, [sp, #0]\n\t"
        "b 4b\n"
        "7:\n\t" /* beyond all so far */
        "sxtb r3, r1\n\t"
        "cmp r3, r1\n\t"
        "bne 6b\n\t" /* and beyond int8 */
        "add r3, r11\n\t"
        "cmp r3, #0\n\t"
        "bge 8f\n\t"
        "subs r6, r6, r3\n\t"
        "rsbs r3, r3, #0\n\t"
        "add r11, r3\n\t"
        "b 3b\n"
        "8:\n\t"
        "mov r6, r3\n\t"
        "b 3b\n\t");
}
/* clang-format on */
#else
int32_t mcg_pair_outputs(mcg_pair_outputs_t *c)
{
    int32_t left = 0;
    while (left == 0 && c->sums != c->end) {
        const int32_t pixels = c->bytes / 4;
        const mcg_pair_row_t r = *c->row++;
        for (int32_t i = 0; i < pixels; i++) {
            const int32_t sum = c->sums[i];
            int32_t value = c->zero;
            if (sum >= c->least) {
                const int32_t low = (int32_t)((((uint32_t)sum & 0xfffU) * (uint32_t)r.mult) >> 12);
                const int32_t all = (sum >> 12) * r.mult + low + r.round;
                value += all >> r.shift;
                if (((uint32_t)all << (32 - r.shift)) >> 26 == 0U || value != (int8_t)value) {
                    left |= 1 << (pixels - 1 - i);
                    continue;
                }
            }
            c->y[i * c->pitch] = (int8_t)value;
            c->range = mcg_max(c->range, value + c->less);
            c->range -= mcg_min(value + c->less, 0);
            c->less = mcg_max(c->less, -value);
        }
        c->y++;
        c->sums += 4;
    }
    return left;
}
#endif
