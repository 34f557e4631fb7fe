/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Four channels of four pixels at a time, a pixel a vector. VRMULH is the rounding product of 64 bits; what
 * is flat is taken out before the peak is looked for and bytes saturate, so that nothing has to be done
 * again.
 */

/* What holds for all channels. */
typedef struct {
    int32_t fours; /* of channels, at least 1 */
    const int32_t *factor;
    int32_t low;    /* x from there on is not flat */
    uint32_t range; /* as far as this */
    int32_t peak;
} mcg_errors_fours_t;

#if MCG_MVE_INSTRUCTIONS
/* clang-format off */
#define MCG_ERROR_PIXEL(sum, at)                                            \
    "add r1, r2, " at "\n\t"                                              \
    "vldrb.s32 q5, [r1]\n\t"                                              \
    "vrmulh.s32 " sum ", " sum ", q4\n\t"                                  \
    "vsub.i32 q5, q5, r8\n\t"                                              \
    "vpt.u32 hi, q5, r9\n\t"                                               \
    "vmovt.i32 " sum ", #0\n\t"                                            \
    "add r1, r3, " at "\n\t"                                              \
    "vmaxav.s32 r11, " sum "\n\t"                                          \
    "vmin.s32 " sum ", " sum ", q6\n\t"                                    \
    "vmax.s32 " sum ", " sum ", q7\n\t"                                    \
    "vstrb.32 " sum ", [r1]\n\t"

/* Returns the peak. r4 to r7 where pixels are; r8 low; r9 range; r10 factors. */
MCG_NAKED static int32_t mcg_errors_fours(MCG_SPARE const int32_t *sums, MCG_SPARE const int32_t *at,
                                          MCG_SPARE const int8_t *x, MCG_SPARE int8_t *e,
                                          MCG_SPARE const mcg_errors_fours_t *how)
{
    __asm__ volatile(
        "ldr r12, [sp]\n\t"
        "push {r4-r11, lr}\n\t"
        "vpush {d8-d15}\n\t"
        "ldm r12, {r4, r5, r8, r9, r11}\n\t"
        "mov r10, r5\n\t"
        "vmov.i32 q6, #127\n\t"
        "vmvn.i32 q7, #126\n\t"
        "dls lr, r4\n\t"
        "ldm r1, {r4-r7}\n\t"
        "1:\n\t"
        "vld40.32 {q0, q1, q2, q3}, [r0]\n\t"
        "vld41.32 {q0, q1, q2, q3}, [r0]\n\t"
        "vld42.32 {q0, q1, q2, q3}, [r0]\n\t"
        "vld43.32 {q0, q1, q2, q3}, [r0]!\n\t"
        "vldrw.u32 q4, [r10], #16\n\t"
        MCG_ERROR_PIXEL("q0", "r4")
        MCG_ERROR_PIXEL("q1", "r5")
        MCG_ERROR_PIXEL("q2", "r6")
        MCG_ERROR_PIXEL("q3", "r7")
        "add r2, r2, #4\n\t"
        "add r3, r3, #4\n\t"
        "le lr, 1b\n\t"
        "mov r0, r11\n\t"
        "vpop {d8-d15}\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
static int32_t mcg_errors_fours(const int32_t *sums, const int32_t *at, const int8_t *x, int8_t *e,
                                const mcg_errors_fours_t *how)
{
    int32_t peak = how->peak;
    for (int32_t o = 0; o < 4 * how->fours; o++) {
        for (int32_t p = 0; p < 4; p++) {
            const bool flat = (uint32_t)(x[at[p] + o] - how->low) > how->range;
            const int32_t error = flat ? 0 : mcg_smmulr(sums[4 * o + p], how->factor[o]);
            peak = mcg_max(peak, mcg_abs(error));
            e[at[p] + o] = (int8_t)mcg_clamp(error, -127, 127);
        }
    }
    return peak;
}
#endif

void mcg_panel_errors(const int32_t *sums, const int32_t *factor, int32_t first, int32_t rows, int32_t pixels,
                      const int32_t *at, mcg_panel_error_t *how)
{
    const int32_t fours = how->kind != 0 && factor != NULL && pixels == 4 ? rows & ~3 : 0;
    if (fours != 0) {
        const int32_t low = mcg_byte(how->low, 0);
        const int32_t high = mcg_byte(how->high, 0);
        /* Where nothing is in between, no x is 1000. */
        const mcg_errors_fours_t all = {fours / 4, factor, low <= high ? low : 1000,
                                        low <= high ? (uint32_t)(high - low) : 0U, how->highest};
        how->highest = mcg_errors_fours(sums, at, how->x + first, how->e + first, &all);
    }
    if (fours != rows) {
        how->highest = mcg_max(how->highest, mcg_panel_errors_each(sums + 4 * fours, first + fours,
                                                                   rows - fours, pixels, at, how));
    }
}
