/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Four weights of four rows at a time, a row a lane: random words, factors and shifts are vectors for all
 * four weights. As elsewhere a weight is the high half of a sum, and below it is a random number.
 */
#if MCG_MVE_INSTRUCTIONS
MCG_STATIC_ASSERT(sizeof(mcg_panel_row_t) == 28 && offsetof(mcg_panel_row_t, counter) == 8 &&
                      offsetof(mcg_panel_row_t, factor) == 12 && offsetof(mcg_panel_row_t, scale) == 16 &&
                      offsetof(mcg_scale_t, pre) == 3 && offsetof(mcg_panel_row_t, most) == 20,
                  "rows are as the assembler below has them");

/* clang-format off */
#define MCG_SR8_ALL(what) what("q0") what("q1") what("q2") what("q3")
#define MCG_SR8_SHIFT(sum) "vshl.s32 " sum ", " sum ", q5\n\t"
#define MCG_SR8_TIMES(sum) "vrmulh.s32 " sum ", " sum ", q6\n\t"

/* How many fours of rows are left: the first of them has a weight that leaves its range, or a sum that may have to be
 * clamped; nothing of that four is written. r0 sums; r1 rows; r2 weights; r3 fours; r11 is added to counters. */
MCG_NAKED static int32_t mcg_sr8_fours(MCG_SPARE const int32_t *sums, MCG_SPARE const mcg_panel_row_t *row,
                                       MCG_SPARE int8_t *w, MCG_SPARE int32_t fours, MCG_SPARE uint32_t more)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "vpush {d8-d15}\n\t"
        "ldr r11, [sp, #100]\n\t"
        "sub sp, sp, #20\n\t"
        "movw lr, #0x352d\n\t" "movt lr, #0x7feb\n\t"
        "mov r4, #0\n\t"
        "mov r5, #7\n\t"
        "vidup.u32 q4, r4, #4\n\t"
        "vmul.i32 q4, q4, r5\n\t"
        "vstrw.32 q4, [sp]\n\t"
        "1:\n\t"
        "vldrw.u32 q4, [sp]\n\t"
        "vadd.i32 q4, q4, r1\n\t"
        "vldrw.u32 q5, [q4, #16]\n\t"
        "vldrw.u32 q6, [q4, #12]\n\t"
        "vshr.u32 q5, q5, #24\n\t"
        "vneg.s32 q6, q6\n\t"
        "vld40.32 {q0, q1, q2, q3}, [r0]\n\t"
        "vld41.32 {q0, q1, q2, q3}, [r0]\n\t"
        "vld42.32 {q0, q1, q2, q3}, [r0]\n\t"
        "vld43.32 {q0, q1, q2, q3}, [r0]!\n\t"
        MCG_SR8_ALL(MCG_SR8_SHIFT)
        MCG_SR8_ALL(MCG_SR8_TIMES)
        "vldrw.u32 q6, [q4, #0]\n\t"
        "vldrw.u32 q7, [q4, #20]\n\t"
        "vldrw.u32 q5, [q4, #8]\n\t"
        "vmov r4, r5, d12\n\t" "vmov r6, r7, d13\n\t"
        "mov r12, #0\n\t"
        "vmaxv.u32 r12, q7\n\t"
        /* q5 random words */
        "vadd.i32 q5, q5, r11\n\t"
        "vshr.u32 q7, q5, #16\n\t" "veor q5, q5, q7\n\t"
        "vmul.i32 q5, q5, lr\n\t"
        "vshr.u32 q7, q5, #15\n\t" "veor q5, q5, q7\n\t"
        "vmul.i32 q5, q5, lr\n\t"
        "vshr.u32 q7, q5, #16\n\t" "veor q5, q5, q7\n\t"
        /* q6 weights 0 and 2, q7 1 and 3 */
        "ldr r8, [r2, r4]\n\t" "ldr r9, [r2, r5]\n\t"
        "vmov d12, r8, r9\n\t"
        "ldr r8, [r2, r6]\n\t" "ldr r9, [r2, r7]\n\t"
        "vmov d13, r8, r9\n\t"
        "vmovlt.s8 q7, q6\n\t"
        "vmovlb.s8 q6, q6\n\t"
        /* and random halves below them: low and high one, and those of the word turned by 8 bits */
        "vmov q4, q5\n\t"
        "vsli.32 q4, q6, #16\n\t"
        "vadd.i32 q0, q0, q4\n\t"
        "vshr.u32 q4, q5, #16\n\t"
        "vsli.32 q4, q7, #16\n\t"
        "vadd.i32 q1, q1, q4\n\t"
        "vshl.i32 q4, q5, #8\n\t"
        "vsri.32 q6, q4, #16\n\t"
        "vadd.i32 q2, q2, q6\n\t"
        "vshr.u32 q4, q5, #8\n\t"
        "vsli.32 q4, q5, #24\n\t"
        "vsri.32 q7, q4, #16\n\t"
        "vadd.i32 q3, q3, q7\n\t"
        "vshrnb.i32 q4, q0, #16\n\t" "vshrnt.i32 q4, q2, #16\n\t"
        "vshrnb.i32 q5, q1, #16\n\t" "vshrnt.i32 q5, q3, #16\n\t"
        "mov r10, #0\n\t"
        "vmaxav.s16 r10, q4\n\t"
        "vmaxav.s16 r10, q5\n\t"
        "cmp r10, #127\n\t"
        "it ls\n\t"
        "cmpls r12, #0\n\t"
        "bhi 2f\n\t"
        "vqmovnb.s16 q4, q4\n\t" "vqmovnt.s16 q4, q5\n\t"
        "vmov r8, r9, d8\n\t"
        "str r8, [r2, r4]\n\t" "str r9, [r2, r5]\n\t"
        "vmov r8, r9, d9\n\t"
        "str r8, [r2, r6]\n\t" "str r9, [r2, r7]\n\t"
        "add r1, r1, #112\n\t"
        "subs r3, r3, #1\n\t"
        "bne 1b\n\t"
        "2:\n\t"
        "mov r0, r3\n\t"
        "add sp, sp, #20\n\t"
        "vpop {d8-d15}\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
/* One four of rows; false where a weight leaves its range, or a sum may have to be clamped. */
static bool mcg_sr8_four(const int32_t *sums, const mcg_panel_row_t *row, int8_t *w, uint32_t more)
{
    int32_t changed[16];
    for (int32_t o = 0; o < 4; o++) {
        const uint32_t hash = mcg_hash(row[o].counter + more);
        const uint32_t turned = hash >> 8 | hash << 24;
        const uint32_t random[4] = {hash & 0xffffU, hash >> 16, turned & 0xffffU, turned >> 16};
        for (int32_t i = 0; i < 4; i++) {
            const int32_t sum = (int32_t)((uint32_t)sums[4 * o + i] << row[o].scale.pre);
            const uint32_t base = (uint32_t)w[row[o].w + i] << 16 | random[i];
            changed[4 * o + i] = (int32_t)(base + (uint32_t)mcg_smmulr(sum, -row[o].factor)) >> 16;
            if (row[o].most != 0 || mcg_abs(changed[4 * o + i]) > 127) {
                return false;
            }
        }
    }
    for (int32_t i = 0; i < 16; i++) {
        w[row[i / 4].w + i % 4] = (int8_t)changed[i];
    }
    return true;
}

static int32_t mcg_sr8_fours(const int32_t *sums, const mcg_panel_row_t *row, int8_t *w, int32_t fours,
                             uint32_t more)
{
    while (fours > 0 && mcg_sr8_four(sums, row, w, more)) {
        sums += 16;
        row += 4;
        fours--;
    }
    return fours;
}
#endif

int32_t mcg_panel_step_sr8(const int32_t *sums, const mcg_panel_row_t *row, int32_t rows, uint32_t more,
                           int8_t *w)
{
    const int32_t fours = rows / 4;
    return fours == 0 ? 0 : 4 * (fours - mcg_sr8_fours(sums, row, w, fours, more));
}
