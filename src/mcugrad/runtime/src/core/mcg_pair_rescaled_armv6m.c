/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

#if MCG_ARMV6M_INSTRUCTIONS
/* clang-format off */
/* r0 sums, r4 mult, r5 places of pixels, r6 square of the largest, r7 shift, r8 round, r9 minus low, r10 end of
 * the row, r11 range, r12 x, lr from x to errors; on the stack: end, what is left, from sums to rows, bytes of a
 * row, from its end to the next, places, what was told. */
MCG_NAKED
int32_t mcg_pair_rescaled(MCG_SPARE mcg_pair_errors_t *c)
{
    __asm__ volatile(
        ".syntax unified\n\t"
        "push {r4-r7, lr}\n\t"
        "mov r4, r8\n\t" "mov r5, r9\n\t" "mov r6, r10\n\t" "mov r7, r11\n\t"
        "push {r0, r4-r7}\n\t"
        "ldm r0!, {r1, r2, r3, r4, r5, r6, r7}\n\t"
        "mov r12, r3\n\t"
        "subs r5, r5, r3\n\t"
        "mov lr, r5\n\t"
        "rsbs r6, r6, #0\n\t"
        "mov r9, r6\n\t"
        "mov r11, r7\n\t"
        "subs r2, r2, r1\n\t"
        "adds r2, r2, #4\n\t"    /* from sums to rows, less what sums begin with */
        "ldm r0!, {r6, r7}\n\t"
        "ldr r3, [r0, #0]\n\t"   /* bytes */
        "movs r0, #16\n\t"
        "subs r0, r0, r3\n\t"
        "push {r0, r7}\n\t"
        "movs r7, #0\n\t"
        "push {r2, r3}\n\t"
        "push {r4, r7}\n\t"
        "mov r0, r1\n"
        "1:\n\t" /* a row */
        "ldr r1, [sp, #8]\n\t"
        "adds r1, r1, r0\n\t"
        "ldm r1!, {r4, r5, r7}\n\t"
        "mov r8, r5\n\t"
        "ldr r1, [sp, #12]\n\t"
        "adds r1, r1, r0\n\t"
        "mov r10, r1\n\t"
        "ldr r5, [sp, #20]\n"
        "2:\n\t" /* an error */
        "ldm r5!, {r2}\n\t"
        "add r2, r12\n\t"
        "ldrb r3, [r2]\n\t"
        "sxtb r3, r3\n\t"
        "add r3, r9\n\t"
        "ldm r0!, {r1}\n\t"
        "add r2, lr\n\t"
        "cmp r3, r11\n\t"
        "bhs 5f\n\t" /* flat */
        "asrs r3, r1, #16\n\t"
        "muls r3, r4\n\t"
        "uxth r1, r1\n\t"
        "muls r1, r4\n\t"
        "lsrs r1, r1, #16\n\t"
        "adds r3, r3, r1\n\t"
        "add r3, r8\n\t"
        "asrs r3, r7\n\t"
        "mov r1, r3\n\t"
        "adds r1, r1, #127\n\t"
        "cmp r1, #254\n\t"
        "bhi 6f\n\t"
        "strb r3, [r2]\n\t"
        "muls r3, r3\n\t"
        "cmp r3, r6\n\t"
        "ble 4f\n\t"
        "mov r6, r3\n"
        "4:\n\t"
        "cmp r0, r10\n\t"
        "bne 2b\n\t"
        "movs r1, #1\n\t"
        "add r12, r1\n\t"
        "ldr r1, [sp, #16]\n\t"
        "adds r0, r0, r1\n\t"
        "ldr r1, [sp, #0]\n\t"
        "cmp r0, r1\n\t"
        "bne 1b\n\t"
        "ldr r1, [sp, #8]\n\t"
        "adds r1, r1, r0\n\t"
        "subs r1, r1, #4\n\t"
        "ldr r4, [sp, #4]\n\t"   /* what is left */
        "ldr r3, [sp, #24]\n\t"
        "mov r2, r12\n\t"
        "stm r3!, {r0, r1, r2}\n\t"
        "add r2, lr\n\t"
        "str r2, [r3, #4]\n\t"
        "str r6, [r3, #16]\n\t"
        "mov r0, r4\n\t"
        "add sp, sp, #28\n\t"
        "pop {r4-r7}\n\t"
        "mov r8, r4\n\t" "mov r9, r5\n\t" "mov r10, r6\n\t" "mov r11, r7\n\t"
        "pop {r4-r7, pc}\n"
        "5:\n\t"
        "movs r3, #0\n\t"
        "strb r3, [r2]\n\t"
        "b 4b\n"
        "6:\n\t" /* left: so many are behind it; the row is the last one for now */
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
        "b 4b\n\t");
}
/* clang-format on */
#else
int32_t mcg_pair_rescaled(mcg_pair_errors_t *c)
{
    int32_t left = 0;
    while (left == 0 && c->sums != c->end) {
        const int32_t pixels = c->bytes / 4;
        const mcg_pair_row_t r = *c->row++;
        for (int32_t i = 0; i < pixels; i++) {
            const int32_t sum = c->sums[i];
            const int8_t *const x = c->x + c->at[i];
            int32_t value = 0;
            if ((uint32_t)(*x - c->low) < c->range) {
                const int32_t low = (int32_t)((((uint32_t)sum & 0xffffU) * (uint32_t)r.mult) >> 16);
                value = ((sum >> 16) * r.mult + low + r.round) >> r.shift;
                if (value < -127 || value > 127) {
                    left |= 1 << (pixels - 1 - i);
                    continue;
                }
            }
            c->e[c->at[i]] = (int8_t)value;
            c->square = mcg_max(c->square, value * value);
        }
        c->x++;
        c->e++;
        c->sums += 4;
    }
    return left;
}
#endif
