/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Four sums of a row are done with where they are, as mcg_panel_direct has it; bytes of one channel lie
 * apart, so each is stored by itself. Kernel rows of five and seven follow each other without a loop: it is
 * entered where as many are left as meet the map.
 */
#if MCG_DSP_INSTRUCTIONS && MCG_ARM_FLOATS
/* clang-format off */
/* r0 plane; r1 table; r2 outputs; r3 end of a row; r4 to r7 sums; r8 to r12 and lr as mcg_plane_sums has them. In
 * registers for floats: 0 and 1 outputs and the end of a row, where kernel rows need these registers; 2 the first step,
 * 3 what sums begin with, 4 where kernel rows are entered, 5 factor, 6 the same as an integer, 7 the zero point, 8 from
 * pixel to pixel, 9 three times that, 10 `out`. */
#define MCG_ROW_OUT_OPEN                                                          \
    "push {r4-r11, lr}\n\t"                                                      \
    "vldmia r2, {s0-s9}\n\t"                                                     \
    "vmov s10, r2\n\t"                                                           \
    "vmov r2, s0\n\t"
#define MCG_ROW_OUT_BEGIN                                                         \
    "1:\n\t"                                                                     \
    "vmov r1, r12, s2, s3\n\t"                                                   \
    "ldm r12, {r4-r7}\n\t"
/* Of as many kernel rows as there are, of so many bytes each, the last `rows`. */
#define MCG_ROW_OUT_ENTER(most, bytes)                                            \
    "vmov r4, s4\n\t"                                                            \
    "rsb r4, r4, #" most "\n\t"                                                  \
    "mov r6, #" bytes "\n\t"                                                     \
    "adr r5, 2f\n\t"                                                             \
    "mla r5, r4, r6, r5\n\t"                                                     \
    "orr r5, r5, #1\n\t"                                                         \
    "vmov s4, r5\n\t"                                                            \
    MCG_ROW_OUT_BEGIN                                                             \
    "vmov s0, s1, r2, r3\n\t"                                                    \
    "vmov lr, s4\n\t"                                                            \
    "bx lr\n\t"                                                                  \
    ".p2align 2\n"                                                               \
    "2:\n\t"
#define MCG_ROW_OUT_LEAVE "vmov r2, r3, s0, s1\n\t"
#define MCG_ROW_OUT_EACH(what) what("r4") what("r5") what("r6") what("r7")
#define MCG_ROW_OUT_TIMES(sum) "smmla " sum ", " sum ", r1, r9\n\t"
#define MCG_ROW_OUT_BYTE(sum) "ssat " sum ", #8, " sum ", asr #4\n\t"
#define MCG_ROW_OUT_FOUR(what) what("s12") what("s13") what("s14") what("s15")
#define MCG_ROW_OUT_FROM(sum) "vcvt.f32.s32 " sum ", " sum "\n\t"
#define MCG_ROW_OUT_SCALED(sum) "vmul.f32 " sum ", " sum ", s5\n\t"
#define MCG_ROW_OUT_TO(sum) "vcvtr.s32.f32 " sum ", " sum "\n\t"
#define MCG_ROW_OUT_NEAR(sum) "ssat " sum ", #12, " sum "\n\t"
#define MCG_ROW_OUT_WHOLE(sum) "add " sum ", r9, " sum ", lsl #4\n\t"
#define MCG_ROW_OUT_CLOSE(bytes)                                                  \
    "vmov r1, r9, s6, s7\n\t"                                                    \
    "vmov r10, r11, s8, s9\n\t"                                                  \
    "cbz r1, 4f\n\t"                                                             \
    MCG_ROW_OUT_EACH(MCG_ROW_OUT_TIMES)                                            \
    "3:\n\t"                                                                     \
    MCG_ROW_OUT_EACH(MCG_ROW_OUT_BYTE)                                             \
    "strb r4, [r2]\n\t" "strb r5, [r2, r10]\n\t"                                 \
    "strb r6, [r2, r10, lsl #1]\n\t" "strb r7, [r2, r11]\n\t"                    \
    "add r2, r2, r10, lsl #2\n\t"                                                \
    "add r0, r0, #" bytes "\n\t"                                                 \
    "cmp r0, r3\n\t"                                                             \
    "bne 1b\n\t"                                                                 \
    "b 5f\n\t"                                                                   \
    "4:\n\t"                                                                     \
    "vmov s12, s13, r4, r5\n\t" "vmov s14, s15, r6, r7\n\t"                      \
    MCG_ROW_OUT_FOUR(MCG_ROW_OUT_FROM)                                             \
    MCG_ROW_OUT_FOUR(MCG_ROW_OUT_SCALED)                                           \
    MCG_ROW_OUT_FOUR(MCG_ROW_OUT_TO)                                               \
    "vmov r4, r5, s12, s13\n\t" "vmov r6, r7, s14, s15\n\t"                      \
    MCG_ROW_OUT_EACH(MCG_ROW_OUT_NEAR)                                             \
    MCG_ROW_OUT_EACH(MCG_ROW_OUT_WHOLE)                                            \
    "b 3b\n\t"                                                                   \
    "5:\n\t" /* the next row */                                                  \
    "vmov r12, s10\n\t"                                                          \
    "ldr lr, [sp, #36]\n\t"                                                      \
    "ldrd r4, r5, [lr]\n\t"                                                      \
    "ldr r7, [lr, #12]\n\t"                                                      \
    "ldrd r8, r9, [r12, #40]\n\t"                                                \
    "cmp r3, r7\n\t"                                                             \
    "add r0, r0, r4\n\t"                                                         \
    "add r3, r3, r5\n\t"                                                         \
    "add r2, r2, r8\n\t"                                                         \
    "bne 1b\n\t"                                                                 \
    "ldr r4, [lr, #24]\n\t" /* the next channel */                               \
    "add r0, r0, r4\n\t"                                                        \
    "add r3, r3, r4\n\t"                                                        \
    "add r2, r2, r9\n\t"                                                        \
    "ldrd r4, r5, [lr, #32]\n\t"                                                \
    "ldr r6, [lr, #40]\n\t"                                                     \
    "vmov r8, r9, s2, s3\n\t"                                                   \
    "add r8, r8, r4\n\t"                                                        \
    "add r9, r9, r4\n\t"                                                        \
    "vmov s2, s3, r8, r9\n\t"                                                   \
    "add r7, r7, r5\n\t"                                                        \
    "str r7, [lr, #12]\n\t"                                                     \
    "cmp r7, r6\n\t"                                                             \
    "beq 6f\n\t"                                                                 \
    "ldrd r4, r5, [r12, #48]\n\t"                                                \
    "ldr r6, [r4, #4]!\n\t"                                                      \
    "vmov s6, r6\n\t"                                                            \
    "add r5, r5, #4\n\t"                                                         \
    "vldr s5, [r5]\n\t"                                                          \
    "strd r4, r5, [r12, #48]\n\t"                                                \
    "b 1b\n\t"                                                                   \
    "6:\n\t"                                                                     \
    "pop {r4-r11, pc}\n\t"
#define MCG_ROW_OUT_FUNCTION(name)                                                \
    MCG_NAKED static void name(MCG_SPARE const uint32_t *x, MCG_SPARE const uint32_t *table,\
                               MCG_SPARE mcg_plane_out_t *out, MCG_SPARE const uint32_t *end,\
                               MCG_SPARE mcg_plane_run_t *run)

MCG_ROW_OUT_FUNCTION(mcg_row_out_three)
{
    __asm__ volatile(
        MCG_ROW_OUT_OPEN MCG_ROW_OUT_BEGIN
        MCG_SUMS_THREE("", "r0") MCG_SUMS_THREE(MCG_SUMS_THERE, "lr") MCG_SUMS_THREE(MCG_SUMS_THERE, "lr")
        MCG_ROW_OUT_CLOSE("8"));
}

MCG_ROW_OUT_FUNCTION(mcg_row_out_strided)
{
    __asm__ volatile(
        MCG_ROW_OUT_OPEN MCG_ROW_OUT_BEGIN
        MCG_SUMS_STRIDED MCG_SUMS_STRIDED MCG_SUMS_STRIDED
        MCG_ROW_OUT_CLOSE("16"));
}

MCG_ROW_OUT_FUNCTION(mcg_row_out_three_odd)
{
    __asm__ volatile(
        MCG_ROW_OUT_OPEN MCG_ROW_OUT_BEGIN
        MCG_SUMS_THREE_ODD("", "r0") MCG_SUMS_THREE_ODD(MCG_SUMS_THERE, "lr") MCG_SUMS_THREE_ODD(MCG_SUMS_THERE, "lr")
        MCG_ROW_OUT_CLOSE("8"));
}

MCG_ROW_OUT_FUNCTION(mcg_row_out_strided_odd)
{
    __asm__ volatile(
        MCG_ROW_OUT_OPEN MCG_ROW_OUT_BEGIN
        MCG_SUMS_STRIDED_ODD MCG_SUMS_STRIDED_ODD MCG_SUMS_STRIDED_ODD
        MCG_ROW_OUT_CLOSE("16"));
}

MCG_ROW_OUT_FUNCTION(mcg_row_out_five)
{
    __asm__ volatile(
        MCG_ROW_OUT_OPEN MCG_ROW_OUT_ENTER("5", "60")
        ".rept 5\n\t" MCG_SUMS_FIVE ".endr\n\t"
        MCG_ROW_OUT_LEAVE MCG_ROW_OUT_CLOSE("8"));
}

MCG_ROW_OUT_FUNCTION(mcg_row_out_seven)
{
    __asm__ volatile(
        MCG_ROW_OUT_OPEN MCG_ROW_OUT_ENTER("7", "84")
        ".rept 7\n\t" MCG_SUMS_SEVEN ".endr\n\t"
        MCG_ROW_OUT_LEAVE MCG_ROW_OUT_CLOSE("8"));
}

MCG_ROW_OUT_FUNCTION(mcg_row_out_strided_five)
{
    __asm__ volatile(
        MCG_ROW_OUT_OPEN MCG_ROW_OUT_ENTER("5", "64")
        ".rept 5\n\t" MCG_SUMS_STRIDED_FIVE ".endr\n\t"
        MCG_ROW_OUT_LEAVE MCG_ROW_OUT_CLOSE("16"));
}

MCG_ROW_OUT_FUNCTION(mcg_row_out_strided_seven)
{
    __asm__ volatile(
        MCG_ROW_OUT_OPEN MCG_ROW_OUT_ENTER("7", "84")
        ".rept 7\n\t" MCG_SUMS_STRIDED_SEVEN ".endr\n\t"
        MCG_ROW_OUT_LEAVE MCG_ROW_OUT_CLOSE("16"));
}
/* clang-format on */

void mcg_plane_direct(int32_t kind, const uint32_t *x, const uint32_t *table, mcg_plane_out_t *out,
                      const uint32_t *end, mcg_plane_run_t *run)
{
    switch (kind) {
        case MCG_PLANE_THREE:
            mcg_row_out_three(x, table, out, end, run);
            break;
        case MCG_PLANE_STRIDED:
            mcg_row_out_strided(x, table, out, end, run);
            break;
        case MCG_PLANE_THREE_ODD:
            mcg_row_out_three_odd(x, table, out, end, run);
            break;
        case MCG_PLANE_STRIDED_ODD:
            mcg_row_out_strided_odd(x, table, out, end, run);
            break;
        case MCG_PLANE_FIVE:
            mcg_row_out_five(x, table, out, end, run);
            break;
        case MCG_PLANE_SEVEN:
            mcg_row_out_seven(x, table, out, end, run);
            break;
        case MCG_PLANE_STRIDED_FIVE:
            mcg_row_out_strided_five(x, table, out, end, run);
            break;
        default:
            mcg_row_out_strided_seven(x, table, out, end, run);
            break;
    }
}
#else
void mcg_plane_direct(int32_t kind, const uint32_t *x, const uint32_t *table, mcg_plane_out_t *out,
                      const uint32_t *end, mcg_plane_run_t *run)
{
    const int32_t *sum = out->sums;
    const int32_t *mult = out->mults;
    const float *scale = out->scales;
    mcg_plane_sums(kind, x, table, out->sums, end, run);
    for (int32_t row = 0; row < out->lines; row++) {
        for (int32_t i = 0; i < out->width; i++) {
            for (int32_t c = 0; c < out->channels; c++) {
                out->y[c] = mult[c] != 0 ? mcg_fixed_output(sum[c], mult[c], out->zero)
                                         : mcg_float_output(sum[c], scale[c], out->zero);
            }
            sum += MCG_PLANE_CHANNELS;
            out->y += out->column;
        }
        out->y += out->row;
    }
}
#endif
