/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Four channels of four pixels at a time. Two results share a word, so that one instruction adds the zero
 * point to both, one saturates both, and two keep the larger of either: the peak is exact, whatever is beyond
 * int8. A ReLU is the conversion to an unsigned integer. Any other lower bound is where bytes begin: what is
 * between it and the zero point is added to four of them at once.
 */
#if MCG_DSP_INSTRUCTIONS && MCG_ARM_FLOATS
/* clang-format off */
/* Eight of each kind in a row: none waits for the one before it, nor the first for all sums. */
#define MCG_OUTPUT_EIGHT(what, x0, x1)                                      \
    what("s0", x0) what("s1", x0) what("s2", x0) what("s3", x0)             \
    what("s4", x1) what("s5", x1) what("s6", x1) what("s7", x1)
#define MCG_OUTPUT_OTHERS(what, x2, x3)                                     \
    what("s8", x2) what("s9", x2) what("s10", x2) what("s11", x2)           \
    what("s12", x3) what("s13", x3) what("s14", x3) what("s15", x3)
#define MCG_OUTPUT_FROM(sum, to) "vcvt.f32." to " " sum ", " sum "\n\t"
#define MCG_OUTPUT_TIMES(sum, scale) "vmul.f32 " sum ", " sum ", " scale "\n\t"
#define MCG_OUTPUT_TO(sum, to) "vcvtr." to ".f32 " sum ", " sum "\n\t"
#define MCG_OUTPUT_FLOATS(to)                                               \
    "vldmia r0!, {s0-s7}\n\t"                                              \
    "vldmia r1!, {s16-s19}\n\t"                                            \
    MCG_OUTPUT_EIGHT(MCG_OUTPUT_FROM, "s32", "s32")                         \
    "vldmia r0!, {s8-s15}\n\t"                                             \
    MCG_OUTPUT_EIGHT(MCG_OUTPUT_TIMES, "s16", "s17")                        \
    MCG_OUTPUT_EIGHT(MCG_OUTPUT_TO, to, to)                                 \
    MCG_OUTPUT_OTHERS(MCG_OUTPUT_FROM, "s32", "s32")                        \
    MCG_OUTPUT_OTHERS(MCG_OUTPUT_TIMES, "s18", "s19")                       \
    MCG_OUTPUT_OTHERS(MCG_OUTPUT_TO, to, to)
/* Of two pixels: r4 and r5 the first channel, r6 and r7 the second, ...; then r4 and r8 are one pixel's, r6 and
 * r10 the other's: first and third channel, second and fourth. */
#define MCG_OUTPUT_PAIR(a, b, c, d)                                         \
    "vmov r4, r5, " a "\n\t" "vmov r6, r7, " b "\n\t"                       \
    "vmov r8, r9, " c "\n\t" "vmov r10, r11, " d "\n\t"                     \
    "pkhbt r4, r4, r8, lsl #16\n\t" "pkhbt r8, r6, r10, lsl #16\n\t"        \
    "pkhbt r6, r5, r9, lsl #16\n\t" "pkhbt r10, r7, r11, lsl #16\n\t"
#define MCG_OUTPUT_MOST(value)                                              \
    "ssub16 r5, lr, " value "\n\t" "sel lr, lr, " value "\n\t"
#define MCG_OUTPUT_ENDS(a, b)                                               \
    "ssub16 r5, " a ", " b "\n\t"                                           \
    "sel r7, " a ", " b "\n\t" "sel r9, " b ", " a "\n\t"                    \
    "ssub16 r5, lr, r7\n\t" "sel lr, lr, r7\n\t"                            \
    "ssub16 r5, r0, r9\n\t" "sel r0, r9, r0\n\t"
#define MCG_OUTPUT_EACH(what) what("r4") what("r8") what("r6") what("r10")
#define MCG_OUTPUT_ADD(value) "sadd16 " value ", " value ", r12\n\t"
/* To bytes from -128 on. */
#define MCG_OUTPUT_RAISED                                                   \
    "vmov r7, s21\n\t" "uqadd8 r4, r4, r7\n\t" "uqadd8 r6, r6, r7\n\t"
/* Bytes, and the end of a round. */
#define MCG_OUTPUT_STORE(to, raised)                                              \
    "usat16 r4, #8, r4\n\t" "usat16 r8, #8, r8\n\t"                         \
    "usat16 r6, #8, r6\n\t" "usat16 r10, #8, r10\n\t"                       \
    "orr r4, r4, r8, lsl #8\n\t" "orr r6, r6, r10, lsl #8\n\t"              \
    raised                                                                  \
    "eor r4, r4, #0x80808080\n\t" "eor r6, r6, #0x80808080\n\t"             \
    "str r4, [" to "]\n\t" "str r6, [" to ", r3]\n\t"

/* r0 sums; r1 factors; r2 outputs; r3 from pixel to pixel; then the end of the factors, and the largest so
 * far, which is returned. */
MCG_NAKED static uint32_t mcg_output_relu(MCG_SPARE const int32_t *sums, MCG_SPARE const float *scale,
                                          MCG_SPARE int8_t *y, MCG_SPARE int32_t pitch,
                                          MCG_SPARE const float *end, MCG_SPARE uint32_t most)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "vpush {s16-s19}\n\t"
        "ldr r12, [sp, #52]\n\t"
        "ldr lr, [sp, #56]\n\t"
        "1:\n\t"
        MCG_OUTPUT_FLOATS("u32")
        MCG_OUTPUT_PAIR("s0, s1", "s4, s5", "s8, s9", "s12, s13")
        MCG_OUTPUT_EACH(MCG_OUTPUT_MOST)
        MCG_OUTPUT_STORE("r2", "")
        MCG_OUTPUT_PAIR("s2, s3", "s6, s7", "s10, s11", "s14, s15")
        MCG_OUTPUT_EACH(MCG_OUTPUT_MOST)
        "add r5, r2, r3, lsl #1\n\t"
        "add r2, r2, #4\n\t"
        MCG_OUTPUT_STORE("r5", "")
        "cmp r1, r12\n\t"
        "bne 1b\n\t"
        "mov r0, lr\n\t"
        "vpop {s16-s19}\n\t"
        "pop {r4-r11, pc}\n\t");
}

#define MCG_OUTPUT_SIGNED(raised)                                           \
    "push {r4-r11, lr}\n\t"                                                 \
    "vpush {s16-s21}\n\t"                                                   \
    "vldr s21, [sp, #72]\n\t"                                               \
    "ldr r12, [sp, #60]\n\t"                                                \
    "ldr r4, [sp, #68]\n\t"                                                 \
    "ldm r4, {r5, lr}\n\t"                                                  \
    "1:\n\t"                                                                \
    MCG_OUTPUT_FLOATS("s32")                                                \
    "vmov s20, r0\n\t"                                                      \
    "mov r0, r5\n\t"                                                        \
    MCG_OUTPUT_PAIR("s0, s1", "s4, s5", "s8, s9", "s12, s13")               \
    MCG_OUTPUT_ENDS("r4", "r8")                                             \
    MCG_OUTPUT_ENDS("r6", "r10")                                            \
    MCG_OUTPUT_EACH(MCG_OUTPUT_ADD)                                         \
    MCG_OUTPUT_STORE("r2", raised)                                          \
    MCG_OUTPUT_PAIR("s2, s3", "s6, s7", "s10, s11", "s14, s15")             \
    MCG_OUTPUT_ENDS("r4", "r8")                                             \
    MCG_OUTPUT_ENDS("r6", "r10")                                            \
    MCG_OUTPUT_EACH(MCG_OUTPUT_ADD)                                         \
    "add r5, r2, r3, lsl #1\n\t"                                            \
    "add r2, r2, #4\n\t"                                                    \
    MCG_OUTPUT_STORE("r5", raised)                                          \
    "mov r5, r0\n\t"                                                        \
    "vmov r0, s20\n\t"                                                      \
    "ldr r4, [sp, #64]\n\t"                                                 \
    "cmp r1, r4\n\t"                                                        \
    "bne 1b\n\t"                                                            \
    "ldr r4, [sp, #68]\n\t"                                                 \
    "stm r4, {r5, lr}\n\t"                                                  \
    "vpop {s16-s21}\n\t"                                                    \
    "pop {r4-r11, pc}\n\t"

/* The same without bounds; then the zero point from -128 on, in both halves, the end of the factors, and where the
 * smallest and the largest so far are. */
MCG_NAKED static void mcg_output_plain(MCG_SPARE const int32_t *sums, MCG_SPARE const float *scale,
                                       MCG_SPARE int8_t *y, MCG_SPARE int32_t pitch, MCG_SPARE uint32_t zero,
                                       MCG_SPARE const float *end, MCG_SPARE uint32_t *ends,
                                       MCG_SPARE uint32_t low)
{
    __asm__ volatile(MCG_OUTPUT_SIGNED(""));
}

/* The same with a lower bound, from which the zero point counts; it follows, from -128 on, in four bytes. */
MCG_NAKED static void mcg_output_above(MCG_SPARE const int32_t *sums, MCG_SPARE const float *scale,
                                       MCG_SPARE int8_t *y, MCG_SPARE int32_t pitch, MCG_SPARE uint32_t zero,
                                       MCG_SPARE const float *end, MCG_SPARE uint32_t *ends,
                                       MCG_SPARE uint32_t low)
{
    __asm__ volatile(MCG_OUTPUT_SIGNED(MCG_OUTPUT_RAISED));
}
/* clang-format on */
#else
/* First and third of four channels of a pixel, or second and fourth. */
static uint32_t mcg_output_two(const int32_t *sums, const float *scale, bool relu)
{
    const int32_t a = mcg_nearest((float)sums[0] * scale[0]);
    const int32_t b = mcg_nearest((float)sums[8] * scale[2]);
    return relu ? mcg_halves(mcg_max(a, 0), mcg_max(b, 0)) : mcg_halves(a, b);
}

static void mcg_output_bytes(const uint32_t two[2], uint32_t low, int8_t *y)
{
    mcg_store32(y, mcg_panel_raised(mcg_usat16(two[0]) | mcg_usat16(two[1]) << 8, low) ^ 0x80808080U);
}

static uint32_t mcg_output_relu(const int32_t *sums, const float *scale, int8_t *y, int32_t pitch,
                                const float *end, uint32_t most)
{
    for (; scale != end; scale += 4) {
        for (int32_t p = 0; p < 4; p++) {
            uint32_t two[2];
            for (int32_t i = 0; i < 2; i++) {
                two[i] = mcg_output_two(sums + 4 * i + p, scale + i, true);
                most = mcg_select16(most, two[i], most, two[i]);
            }
            mcg_output_bytes(two, 0, y + p * pitch);
        }
        sums += 16;
        y += 4;
    }
    return most;
}

static void mcg_output_above(const int32_t *sums, const float *scale, int8_t *y, int32_t pitch, uint32_t zero,
                             const float *end, uint32_t *ends, uint32_t low)
{
    for (; scale != end; scale += 4) {
        for (int32_t p = 0; p < 4; p++) {
            uint32_t two[2];
            for (int32_t i = 0; i < 2; i++) {
                two[i] = mcg_output_two(sums + 4 * i + p, scale + i, false);
                ends[1] = mcg_select16(ends[1], two[i], ends[1], two[i]);
                ends[0] = mcg_select16(ends[0], two[i], two[i], ends[0]);
                two[i] = mcg_halves(mcg_half(two[i], 0) + mcg_half(zero, 0),
                                    mcg_half(two[i], 1) + mcg_half(zero, 1));
            }
            mcg_output_bytes(two, low, y + p * pitch);
        }
        sums += 16;
        y += 4;
    }
}

static void mcg_output_plain(const int32_t *sums, const float *scale, int8_t *y, int32_t pitch, uint32_t zero,
                             const float *end, uint32_t *ends, uint32_t low)
{
    mcg_output_above(sums, scale, y, pitch, zero, end, ends, low);
}
#endif

void mcg_panel_output(const int32_t *sums, int32_t first, int32_t rows, int32_t pixels,
                      mcg_panel_output_t *how, int8_t *y)
{
    const int32_t fours = how->kind != 0 && pixels == 4 ? rows & ~3 : 0;
    if (fours != 0) {
        const float *scale = how->scale + first;
        if (how->kind == 1) {
            how->ends[1] = mcg_output_relu(sums, scale, y, how->pitch, scale + fours, how->ends[1]);
        } else {
            const uint32_t zero = (uint32_t)-mcg_panel_low(how);
            const uint32_t low = ((uint32_t)(how->zero + 128) - zero) * 0x01010101U;
            (low == 0U ? mcg_output_plain : mcg_output_above)(sums, scale, y, how->pitch, zero | zero << 16,
                                                              scale + fours, how->ends, low);
        }
    }
    if (fours != rows) {
        how->highest = mcg_max(how->highest, mcg_panel_output_each(sums + 4 * fours, first + fours,
                                                                   rows - fours, pixels, how, y + fours));
    }
}
