/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * A factor of errors times 2^(32 - shift) makes of the rounding product of 64 bits, SMMULR, exactly the
 * product that is asked for. Bytes are stored as they saturate, with the flag Q, which a factor with a
 * pre-shift sets as well; where that happened, or where one is -128, which is none, the portable loop does
 * all of them again.
 */

/* What does not change along a row. */
typedef struct {
    uint32_t low, high; /* x from one to the other is not flat, in four bytes */
    uint32_t ends[2];   /* the smallest, and 0, and the largest, in four bytes */
} mcg_row_error_t;

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* A mantissa of 16 bits turned right by 17 to 32 is one shifted left by 15 to 0. */
#define MCG_ROW_FACTOR(s)             \
    "usat r4, #6, " s ", asr #16\n\t" \
    "uxth " s ", " s "\n\t"           \
    "ror " s ", " s ", r4\n\t"

/* r0 sums; r1 x; r2 factors; r3 errors; then their end, and the bounds of x with the smallest and largest so far. */
MCG_NAKED static void mcg_row_errors_four(MCG_SPARE const int32_t *acc, MCG_SPARE const int8_t *x,
                                          MCG_SPARE const mcg_scale_t *scale, MCG_SPARE int8_t *e,
                                          MCG_SPARE const int8_t *end, MCG_SPARE mcg_row_error_t *how)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "ldr r12, [sp, #40]\n\t"
        "ldm r12, {r4, r5, r12, lr}\n\t"
        "push {r4, r5}\n\t"
        "1:\n\t"
        "ldmia r2!, {r8-r11}\n\t"
        MCG_ROW_FACTOR("r8") MCG_ROW_FACTOR("r9") MCG_ROW_FACTOR("r10") MCG_ROW_FACTOR("r11")
        "ldmia r0!, {r4-r7}\n\t"
        "smmulr r4, r4, r8\n\t" "smmulr r5, r5, r9\n\t"
        "smmulr r6, r6, r10\n\t" "smmulr r7, r7, r11\n\t"
        "ssat r4, #8, r4\n\t" "ssat r5, #8, r5\n\t"
        "ssat r6, #8, r6\n\t" "ssat r7, #8, r7\n\t"
        "bfi r4, r5, #8, #8\n\t" "bfi r4, r6, #16, #8\n\t" "bfi r4, r7, #24, #8\n\t"
        "ldr r5, [r1], #4\n\t"
        "ldrd r6, r7, [sp]\n\t"
        "mov r8, #0\n\t"
        "ssub8 r6, r5, r6\n\t" "sel r4, r4, r8\n\t"
        "ssub8 r5, r7, r5\n\t" "sel r4, r4, r8\n\t"
        "ldr r6, [sp, #44]\n\t"
        "ssub8 r5, r12, r4\n\t" "sel r12, r4, r12\n\t"
        "ssub8 r5, lr, r4\n\t" "sel lr, lr, r4\n\t"
        "str r4, [r3], #4\n\t"
        "cmp r3, r6\n\t"
        "bne 1b\n\t"
        "ldr r4, [sp, #48]\n\t"
        "strd r12, lr, [r4, #8]\n\t"
        "add sp, sp, #8\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
/* As it saturates; Q is set as well where there is a pre-shift. */
static uint32_t mcg_row_error(int32_t acc, mcg_scale_t scale)
{
    const int32_t factor = (int32_t)((uint32_t)scale.mult << (32U - scale.shift));
    (void)mcg_ssat(scale.pre * 128);
    return (uint32_t)mcg_ssat(mcg_smmulr(acc, factor)) & 0xffU;
}

static void mcg_row_errors_four(const int32_t *acc, const int8_t *x, const mcg_scale_t *scale, int8_t *e,
                                const int8_t *end, mcg_row_error_t *how)
{
    for (; e != end; e += 4) {
        const uint32_t here = mcg_load32(x);
        uint32_t four = 0;
        for (uint32_t i = 0; i < 4U; i++) {
            four |= mcg_row_error(*acc++, *scale++) << (8U * i);
        }
        four = mcg_select8(here, how->low, four, 0);
        four = mcg_select8(how->high, here, four, 0);
        how->ends[0] = mcg_select8(how->ends[0], four, four, how->ends[0]);
        how->ends[1] = mcg_select8(how->ends[1], four, how->ends[1], four);
        mcg_store32(e, four);
        x += 4;
    }
}
#endif

int32_t mcg_row_errors(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                       const int32_t *clip, int32_t count, int8_t *e)
{
    const int32_t low = x_zero + mcg_clamp(clip[0], -1000, 1000) + 1;
    const int32_t high = x_zero + mcg_clamp(clip[1], -1000, 1000) - 1;
    const bool words = ((uintptr_t)scale & 3U) == 0U; /* several are loaded together */
    const int32_t whole = words ? count & ~3 : 0;
    mcg_row_error_t how = {((uint32_t)mcg_max(low, -128) & 0xffU) * 0x01010101U,
                           ((uint32_t)mcg_min(high, 127) & 0xffU) * 0x01010101U,
                           {0, 0}};
    int32_t done = 0;
    int32_t highest = 0;
    if (whole != 0 && low <= 127 && high >= -128) {
        mcg_q_clear();
        mcg_row_errors_four(acc, x, scale, e, e + whole, &how);
        if (!mcg_q_is_set() && !mcg_has_lowest(how.ends[0])) {
            done = whole;
            for (uint32_t i = 0; i < 4U; i++) {
                highest = mcg_max(highest, mcg_max(mcg_byte(how.ends[1], i), -mcg_byte(how.ends[0], i)));
            }
        }
    }
    if (done == count) {
        return highest;
    }
    return mcg_max(highest,
                   mcg_row_each(acc + done, x + done, x_zero, scale + done, clip, count - done, e + done));
}
