/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * A factor of errors times 2^(32 - shift) makes of the rounding product of 64 bits, SMMULR, exactly the
 * product that is asked for. Four channels of four pixels at a time; bytes are stored as they saturate, with
 * the flag Q, and where that happened, or where one is -128, all is done again by other instructions.
 */
#if MCG_DSP_INSTRUCTIONS && MCG_ARM_FLOATS
/* clang-format off */
#define MCG_ERROR_PIXEL(p0, p1, p2, p3, more)                                              \
    "ldr r4, [r0, #" p0 "]\n\t" "ldr r5, [r0, #" p1 "]\n\t"                                \
    "ldr r6, [r0, #" p2 "]\n\t" "ldr r7, [r0, #" p3 "]\n\t"                                \
    "smmulr r4, r4, r8\n\t" "smmulr r5, r5, r9\n\t"                                        \
    "smmulr r6, r6, r10\n\t" "smmulr r7, r7, r11\n\t"                                      \
    "pkhbt r4, r4, r6, lsl #16\n\t" "pkhbt r5, r5, r7, lsl #16\n\t"                        \
    "ssat16 r4, #8, r4\n\t" "ssat16 r5, #8, r5\n\t"                                        \
    "uxtb16 r4, r4\n\t" "uxtb16 r5, r5\n\t" "orr r4, r4, r5, lsl #8\n\t"                   \
    "ldr r7, [r1], #4\n\t"                                                                 \
    "ldr r6, [r2, r7]\n\t"                                                                 \
    "vmov r5, s0\n\t"                                                                      \
    "ssub8 r5, r6, r5\n\t"                                                                 \
    "mov r5, #0\n\t"                                                                       \
    "sel r4, r4, r5\n\t"                                                                   \
    more                                                                                   \
    "ssub8 r5, r12, r4\n\t" "sel r12, r12, r4\n\t"                                         \
    "ssub8 r5, lr, r4\n\t" "sel lr, r4, lr\n\t"                                            \
    "str r4, [r3, r7]\n\t"
/* What is above `high` is flat, too. */
#define MCG_ERROR_ABOVE                                                                    \
    "vmov r5, s1\n\t"                                                                      \
    "ssub8 r6, r5, r6\n\t"                                                                 \
    "mov r5, #0\n\t"                                                                       \
    "sel r4, r4, r5\n\t"

/* r0 sums; r1 where pixels are; r2 x; r3 errors; then factors, their end, low, high, and where the smallest and the
 * largest so far are. */
#define MCG_ERROR_FOURS(name, more)                                                        \
    MCG_NAKED static void name(MCG_SPARE const int32_t *sums, MCG_SPARE const int32_t *at, \
                               MCG_SPARE const int8_t *x, MCG_SPARE int8_t *e,             \
                               MCG_SPARE const int32_t *factor, MCG_SPARE const int32_t *end, \
                               MCG_SPARE uint32_t low, MCG_SPARE uint32_t high,            \
                               MCG_SPARE uint32_t *ends)                                   \
    {                                                                                      \
        __asm__ volatile(                                                                  \
            "push {r4-r11, lr}\n\t"                                                        \
            "add r4, sp, #36\n\t"                                                          \
            "ldm r4, {r5, r6, r7, r8, r9}\n\t"                                             \
            "vmov s0, r7\n\t" "vmov s1, r8\n\t"                                            \
            "vmov s2, r5\n\t" "vmov s3, r6\n\t"                                            \
            "ldm r9, {r12, lr}\n\t"                                                        \
            "mov r4, r12\n\t" "mov r12, lr\n\t" "mov lr, r4\n\t"                           \
            "1:\n\t"                                                                       \
            "vmov r4, s2\n\t"                                                              \
            "ldmia r4!, {r8-r11}\n\t"                                                      \
            "vmov s2, r4\n\t"                                                              \
            MCG_ERROR_PIXEL("0", "16", "32", "48", more)                                   \
            MCG_ERROR_PIXEL("4", "20", "36", "52", more)                                   \
            MCG_ERROR_PIXEL("8", "24", "40", "56", more)                                   \
            MCG_ERROR_PIXEL("12", "28", "44", "60", more)                                  \
            "add r0, r0, #64\n\t"                                                          \
            "sub r1, r1, #16\n\t"                                                          \
            "add r2, r2, #4\n\t"                                                           \
            "add r3, r3, #4\n\t"                                                           \
            "vmov r4, r5, s2, s3\n\t"                                                      \
            "cmp r4, r5\n\t"                                                               \
            "bne 1b\n\t"                                                                   \
            "ldr r4, [sp, #52]\n\t"                                                        \
            "str lr, [r4]\n\t"                                                             \
            "str r12, [r4, #4]\n\t"                                                        \
            "pop {r4-r11, pc}\n\t");                                                       \
    }

MCG_ERROR_FOURS(mcg_errors_low, "")
MCG_ERROR_FOURS(mcg_errors_both, MCG_ERROR_ABOVE)
/* clang-format on */
#else
static uint32_t mcg_errors_four(const int32_t *sums, const int32_t *factor)
{
    const int32_t a = mcg_smmulr(sums[0], factor[0]);
    const int32_t b = mcg_smmulr(sums[4], factor[1]);
    const int32_t c = mcg_smmulr(sums[8], factor[2]);
    const int32_t d = mcg_smmulr(sums[12], factor[3]);
    return mcg_uxtb16(mcg_ssat16(mcg_halves(a, c))) | mcg_uxtb16(mcg_ssat16(mcg_halves(b, d))) << 8;
}

static void mcg_errors_both(const int32_t *sums, const int32_t *at, const int8_t *x, int8_t *e,
                            const int32_t *factor, const int32_t *end, uint32_t low, uint32_t high,
                            uint32_t *ends)
{
    for (; factor != end; factor += 4) {
        for (int32_t p = 0; p < 4; p++) {
            const uint32_t here = mcg_load32(x + at[p]);
            uint32_t four = mcg_errors_four(sums + p, factor);
            four = mcg_select8(here, low, four, 0);
            four = mcg_select8(high, here, four, 0);
            ends[0] = mcg_select8(ends[0], four, four, ends[0]);
            ends[1] = mcg_select8(ends[1], four, ends[1], four);
            mcg_store32(e + at[p], four);
        }
        sums += 16;
        x += 4;
        e += 4;
    }
}

static void mcg_errors_low(const int32_t *sums, const int32_t *at, const int8_t *x, int8_t *e,
                           const int32_t *factor, const int32_t *end, uint32_t low, uint32_t high,
                           uint32_t *ends)
{
    (void)high;
    mcg_errors_both(sums, at, x, e, factor, end, low, 0x7f7f7f7fU, ends);
}
#endif

/* Whole fours of channels of four pixels; false where something saturated, and the ends are as they were.
 * Apart, as what follows: what one of them needs is not on the stack during the other. */
MCG_APART static bool mcg_errors_whole(const int32_t *sums, const int32_t *factor, int32_t first,
                                       int32_t rows, const int32_t *at, mcg_panel_error_t *how)
{
    uint32_t ends[2];
    ends[0] = how->ends[0];
    ends[1] = how->ends[1];
    mcg_q_clear();
    (how->kind == 1 ? mcg_errors_low : mcg_errors_both)(sums, at, how->x + first, how->e + first, factor,
                                                        factor + rows, how->low, how->high, ends);
    if (mcg_q_is_set() || mcg_has_lowest(ends[0])) {
        return false;
    }
    how->ends[0] = ends[0];
    how->ends[1] = ends[1];
    return true;
}

/* The same where some are beyond int8, up to a four whose factors are large; how many channels were done. */
MCG_APART static int32_t mcg_errors_beyond(const int32_t *sums, int32_t first, int32_t rows,
                                           const int32_t *at, mcg_panel_error_t *how, int32_t *beyond)
{
    for (int32_t o = 0; o < rows; o += 4) {
        mcg_panel_beyond_t b;
        b.least = 0;
        b.most = 0;
        if (!mcg_panel_beyond_factors(how->scale + first + o, how, &b)) {
            return o;
        }
        for (int32_t p = 0; p < 4; p++) {
            const int32_t place = at[p] + first + o;
            const uint32_t x = mcg_load32(how->x + place);
            mcg_store32(how->e + place, mcg_panel_beyond(sums + 4 * o + p, 4, x, how, &b));
        }
        b.most = mcg_max(b.most, -b.least);
        *beyond += b.most > 127 ? 1 : 0;
        how->highest = mcg_max(how->highest, b.most);
    }
    return rows;
}

/* Channels and pixels that are not four, and all where something is unusual; whether one is beyond int8. */
static bool mcg_errors_others(const int32_t *sums, int32_t first, int32_t rows, int32_t pixels,
                              const int32_t *at, mcg_panel_error_t *how)
{
    const int32_t most = mcg_panel_errors_each(sums, first, rows, pixels, at, how);
    how->highest = mcg_max(how->highest, most);
    return most > 127;
}

/* Whole fours one by one; of how many some are beyond int8. */
static int32_t mcg_errors_slowly(const int32_t *sums, int32_t first, int32_t rows, const int32_t *at,
                                 mcg_panel_error_t *how)
{
    int32_t beyond = 0;
    for (int32_t o = 0; o < rows;) {
        o += mcg_errors_beyond(sums + 4 * o, first + o, rows - o, at, how, &beyond);
        if (o < rows) {
            beyond += mcg_errors_others(sums + 4 * o, first + o, 4, 4, at, how) ? 1 : 0;
            o += 4;
        }
    }
    return beyond;
}

/* Whole fours, as is fastest: where most that were before are beyond int8, so will these be. */
static void mcg_errors_fours(const int32_t *sums, const int32_t *factor, int32_t first, int32_t rows,
                             const int32_t *at, mcg_panel_error_t *how)
{
    int32_t beyond = 0;
    if (factor == NULL || how->beyond) {
        beyond = mcg_errors_slowly(sums, first, rows, at, how);
    } else if (!mcg_errors_whole(sums, factor, first, rows, at, how)) {
        for (int32_t o = 0; o < rows; o += 4) {
            if (!mcg_errors_whole(sums + 4 * o, factor + o, first + o, 4, at, how)) {
                beyond += mcg_errors_slowly(sums + 4 * o, first + o, 4, at, how);
            }
        }
    }
    how->beyond = 8 * beyond > rows;
}

MCG_APART
void mcg_panel_errors(const int32_t *sums, const int32_t *factor, int32_t first, int32_t rows, int32_t pixels,
                      const int32_t *at, mcg_panel_error_t *how)
{
    const int32_t fours = how->kind != 0 && pixels == 4 ? rows & ~3 : 0;
    if (fours != 0) {
        mcg_errors_fours(sums, factor, first, fours, at, how);
    }
    if (fours != rows) {
        mcg_errors_others(sums + 4 * fours, first + fours, rows - fours, pixels, at, how);
    }
}
