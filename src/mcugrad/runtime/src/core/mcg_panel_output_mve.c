/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Four channels of four pixels at a time, a channel a vector; results are narrowed so that a word holds the
 * channels of one pixel. Whatever the bounds: the peak is that of the vectors before.
 */

/* What holds for all channels. */
typedef struct {
    int32_t fours;     /* of channels, at least 1 */
    int32_t low, high; /* bounds, of 23 bits */
    int32_t zero;
    int32_t pitch; /* from pixel to pixel */
    int32_t peak;
} mcg_output_fours_t;

#if MCG_MVE_INSTRUCTIONS
/* clang-format off */
#define MCG_OUTPUT_ALL(what) what("q0", "r4") what("q1", "r5") what("q2", "r6") what("q3", "r7")
#define MCG_OUTPUT_LOAD(sum, scale) "vldrw.u32 " sum ", [r0], #16\n\t"
#define MCG_OUTPUT_FROM(sum, scale) "vcvt.f32.s32 " sum ", " sum "\n\t"
#define MCG_OUTPUT_TIMES(sum, scale) "vmul.f32 " sum ", " sum ", " scale "\n\t"
#define MCG_OUTPUT_TO(sum, scale) "vcvtn.s32.f32 " sum ", " sum "\n\t"
#define MCG_OUTPUT_LOW(sum, scale) "vmax.s32 " sum ", " sum ", q4\n\t"
#define MCG_OUTPUT_HIGH(sum, scale) "vmin.s32 " sum ", " sum ", q5\n\t"
#define MCG_OUTPUT_PEAK(sum, scale) "vmaxav.s32 r11, " sum "\n\t"

/* Returns the peak. r8 zero; r9 from pixel to pixel. */
MCG_NAKED static int32_t mcg_output_fours(MCG_SPARE const int32_t *sums, MCG_SPARE const float *scale,
                                          MCG_SPARE int8_t *y, MCG_SPARE const mcg_output_fours_t *how)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "vpush {d8-d11}\n\t"
        "ldm r3, {r4-r9}\n\t"
        "mov r11, r9\n\t"
        "mov r9, r8\n\t"
        "mov r8, r7\n\t"
        "vdup.32 q4, r5\n\t"
        "vdup.32 q5, r6\n\t"
        "dls lr, r4\n\t"
        "1:\n\t"
        "ldmia r1!, {r4-r7}\n\t"
        MCG_OUTPUT_ALL(MCG_OUTPUT_LOAD)
        MCG_OUTPUT_ALL(MCG_OUTPUT_FROM)
        MCG_OUTPUT_ALL(MCG_OUTPUT_TIMES)
        MCG_OUTPUT_ALL(MCG_OUTPUT_TO)
        MCG_OUTPUT_ALL(MCG_OUTPUT_LOW)
        MCG_OUTPUT_ALL(MCG_OUTPUT_HIGH)
        MCG_OUTPUT_ALL(MCG_OUTPUT_PEAK)
        "vqmovnb.s32 q0, q0\n\t" "vqmovnb.s32 q1, q1\n\t"
        "vqmovnt.s32 q0, q2\n\t" "vqmovnt.s32 q1, q3\n\t"
        "vqadd.s16 q0, q0, r8\n\t" "vqadd.s16 q1, q1, r8\n\t"
        "vqmovnb.s16 q0, q0\n\t" "vqmovnt.s16 q0, q1\n\t"
        "add r10, r2, r9, lsl #1\n\t"
        "vmov r4, r5, d0\n\t" "vmov r6, r7, d1\n\t"
        "str r4, [r2]\n\t" "str r5, [r2, r9]\n\t"
        "str r6, [r10]\n\t" "str r7, [r10, r9]\n\t"
        "add r2, r2, #4\n\t"
        "le lr, 1b\n\t"
        "mov r0, r11\n\t"
        "vpop {d8-d11}\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
static int32_t mcg_output_fours(const int32_t *sums, const float *scale, int8_t *y,
                                const mcg_output_fours_t *how)
{
    int32_t peak = how->peak;
    for (int32_t o = 0; o < 4 * how->fours; o++) {
        for (int32_t p = 0; p < 4; p++) {
            const int32_t nearest = mcg_nearest((float)sums[4 * o + p] * scale[o]);
            const int32_t value = mcg_min(mcg_max(nearest, how->low), how->high);
            peak = mcg_max(peak, mcg_abs(value));
            y[p * how->pitch + o] = (int8_t)mcg_clamp(mcg_clamp(value, -32768, 32767) + how->zero, -128, 127);
        }
    }
    return peak;
}
#endif

void mcg_panel_output(const int32_t *sums, int32_t first, int32_t rows, int32_t pixels,
                      mcg_panel_output_t *how, int8_t *y)
{
    const int32_t fours = pixels == 4 ? rows & ~3 : 0;
    if (fours != 0) {
        const int32_t low = how->clip[0];
        const mcg_output_fours_t all = {
            fours / 4,
            mcg_max(low, -MCG_OUTPUT_LIMIT),
            low >= MCG_OUTPUT_LIMIT ? low : mcg_min(how->clip[1], MCG_OUTPUT_LIMIT - 1),
            how->zero,
            how->pitch,
            how->highest};
        how->highest = mcg_output_fours(sums, how->scale + first, y, &all);
    }
    if (fours != rows) {
        how->highest = mcg_max(how->highest, mcg_panel_output_each(sums + 4 * fours, first + fours,
                                                                   rows - fours, pixels, how, y + fours));
    }
}
