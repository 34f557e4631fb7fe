/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Four at a time, as they saturate. Where one did, which the flag Q tells, those four are done one by one,
 * before anything is written, for e may be a or b; where one is -128, which is none, all such are mended in
 * the end.
 */
#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
#define MCG_ADD_ONE(to, turned)                    \
    "sxtb r12, r9" turned "\n\t"                   \
    "sxtb lr, r10" turned "\n\t"                   \
    "mla r12, r12, r4, r6\n\t"                     \
    "mla r12, lr, r5, r12\n\t"                     \
    "ssat " to ", #8, r12, asr #16\n\t"

/* r0 a, r1 b, r2 e, r3 its end; then factors and where the smallest and the largest so far are. Returns the first four
 * of which one saturates, or the end. */
MCG_NAKED static int8_t *mcg_add_fours(MCG_SPARE const int8_t *a, MCG_SPARE const int8_t *b, MCG_SPARE int8_t *e,
                                       MCG_SPARE const int8_t *end, MCG_SPARE const int32_t *factor,
                                       MCG_SPARE uint32_t *ends)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "ldrd r6, r9, [sp, #36]\n\t"
        "ldrd r4, r5, [r6]\n\t"
        "ldrd r7, r8, [r9]\n\t"
        "mov r6, #0x8000\n\t"
        "mov r9, #0\n\t"
        "msr apsr_nzcvq, r9\n\t"
        "1:\n\t"
        "ldr r9, [r0], #4\n\t"
        "ldr r10, [r1], #4\n\t"
        MCG_ADD_ONE("r11", "")
        MCG_ADD_ONE("r12", ", ror #8")
        "bfi r11, r12, #8, #8\n\t"
        MCG_ADD_ONE("r12", ", ror #16")
        "bfi r11, r12, #16, #8\n\t"
        MCG_ADD_ONE("r12", ", ror #24")
        "bfi r11, r12, #24, #8\n\t"
        "ssub8 r9, r7, r11\n\t" "sel r7, r11, r7\n\t"
        "ssub8 r9, r8, r11\n\t" "sel r8, r8, r11\n\t"
        "mrs r9, apsr\n\t"
        "lsls r9, r9, #4\n\t"
        "bmi 2f\n\t"
        "str r11, [r2], #4\n\t"
        "cmp r2, r3\n\t"
        "bne 1b\n\t"
        "2:\n\t"
        "ldr r9, [sp, #40]\n\t"
        "strd r7, r8, [r9]\n\t"
        "mov r0, r2\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
static int8_t *mcg_add_fours(const int8_t *a, const int8_t *b, int8_t *e, const int8_t *end,
                             const int32_t *factor, uint32_t *ends)
{
    for (; e != end; e += 4) {
        uint32_t four = 0;
        mcg_q_clear();
        for (uint32_t i = 0; i < 4U; i++) {
            four |= ((uint32_t)mcg_ssat((*a++ * factor[0] + *b++ * factor[1] + 0x8000) >> 16) & 0xffU)
                    << (8U * i);
        }
        if (mcg_q_is_set()) {
            return e;
        }
        ends[0] = mcg_select8(ends[0], four, four, ends[0]);
        ends[1] = mcg_select8(ends[1], four, ends[1], four);
        mcg_store32(e, four);
    }
    return e;
}
#endif

/* One by one; the largest magnitude. */
static int32_t mcg_add_few(const int8_t *a, const int8_t *b, const int32_t *factor, int32_t count, int8_t *e)
{
    int32_t highest = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = (a[i] * factor[0] + b[i] * factor[1] + 0x8000) >> 16;
        highest = mcg_max(highest, mcg_abs(value));
        e[i] = (int8_t)mcg_clamp(value, -127, 127);
    }
    return highest;
}

void mcg_add_errors_s8(int32_t count, const int8_t *a, const int8_t *b, const int32_t *factor, int8_t *e,
                       int32_t *peak)
{
    const int32_t whole = count & ~3;
    uint32_t ends[2] = {0, 0};
    int32_t highest = 0;
    int32_t i = 0;
    while (i < count) {
        if (i < whole) {
            i = (int32_t)(mcg_add_fours(a + i, b + i, e + i, e + whole, factor, ends) - e);
        }
        if (i < count) {
            highest = mcg_max(highest, mcg_add_few(a + i, b + i, factor, mcg_min(4, count - i), e + i));
            i += 4;
        }
    }
    for (i = 0; i < whole && mcg_has_lowest(ends[0]); i++) {
        e[i] = (int8_t)mcg_max(e[i], -127);
    }
    for (uint32_t k = 0; k < 4U; k++) {
        highest = mcg_max(highest, mcg_max(mcg_byte(ends[1], k), -mcg_byte(ends[0], k)));
    }
    *peak = highest;
}
