/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Errors that are looked at together once one of many saturated. */
#define MCG_ERRORS_RUN 8

/*
 * Four channels of a pixel at a time, as mcg_panel_errors makes them: bytes are stored as they saturate, with
 * the flag Q, and where that happened, or where one is -128, all is done again by other instructions.
 */
#if MCG_DSP_INSTRUCTIONS && MCG_ARM_FLOATS
/* clang-format off */
#define MCG_ERRORS_PIXEL(more)                                                   \
    "ldmia r0!, {r4-r7}\n\t"                                                     \
    "smmulr r4, r4, r8\n\t" "smmulr r5, r5, r9\n\t"                              \
    "smmulr r6, r6, r10\n\t" "smmulr r7, r7, r11\n\t"                            \
    "pkhbt r4, r4, r6, lsl #16\n\t" "pkhbt r5, r5, r7, lsl #16\n\t"              \
    "ssat16 r4, #8, r4\n\t" "ssat16 r5, #8, r5\n\t"                              \
    "uxtb16 r4, r4\n\t" "uxtb16 r5, r5\n\t" "orr r4, r4, r5, lsl #8\n\t"         \
    "ldr r7, [r1], #4\n\t"                                                       \
    "ldr r6, [r2, r7]\n\t"                                                       \
    "vmov r5, s0\n\t"                                                            \
    "ssub8 r5, r6, r5\n\t"                                                       \
    "mov r5, #0\n\t"                                                             \
    "sel r4, r4, r5\n\t"                                                         \
    more                                                                         \
    "ssub8 r5, r12, r4\n\t" "sel r12, r12, r4\n\t"                               \
    "ssub8 r5, lr, r4\n\t" "sel lr, r4, lr\n\t"                                  \
    "str r4, [r3, r7]\n\t"
/* What is above `high` is flat, too. */
#define MCG_ERRORS_ABOVE                                                         \
    "vmov r5, s1\n\t"                                                            \
    "ssub8 r6, r5, r6\n\t"                                                       \
    "mov r5, #0\n\t"                                                             \
    "sel r4, r4, r5\n\t"

/* r0 sums; r1 where errors are; r2 x; r3 errors; then factors, end of the sums, low, high, and where the smallest and
 * the largest so far are. Pixels two by two; an odd one first. */
#define MCG_ERRORS_FUNCTION(name, more)                                          \
    MCG_NAKED static void name(MCG_SPARE const int32_t *sums, MCG_SPARE const int32_t *at, \
                               MCG_SPARE const int8_t *x, MCG_SPARE int8_t *e,   \
                               MCG_SPARE const int32_t *factor, MCG_SPARE const int32_t *end, \
                               MCG_SPARE uint32_t low, MCG_SPARE uint32_t high,  \
                               MCG_SPARE uint32_t *ends)                         \
    {                                                                            \
        __asm__ volatile(                                                        \
            "push {r4-r11, lr}\n\t"                                              \
            "add r4, sp, #36\n\t"                                                \
            "ldm r4, {r5, r6, r7, r8, r9}\n\t"                                   \
            "vmov s0, r7\n\t" "vmov s1, r8\n\t" "vmov s2, r6\n\t"              \
            "ldrd lr, r12, [r9]\n\t"                                             \
            "sub r4, r6, r0\n\t"                                                 \
            "ldm r5, {r8-r11}\n\t"                                               \
            "tst r4, #16\n\t"                                                    \
            "bne 2f\n\t"                                                         \
            "1:\n\t"                                                             \
            MCG_ERRORS_PIXEL(more)                                               \
            "2:\n\t"                                                             \
            MCG_ERRORS_PIXEL(more)                                               \
            "vmov r4, s2\n\t"                                                    \
            "cmp r0, r4\n\t"                                                     \
            "bne 1b\n\t"                                                         \
            "ldr r4, [sp, #52]\n\t"                                              \
            "strd lr, r12, [r4]\n\t"                                             \
            "pop {r4-r11, pc}\n\t");                                             \
    }

MCG_ERRORS_FUNCTION(mcg_plane_low, "")
MCG_ERRORS_FUNCTION(mcg_plane_both, MCG_ERRORS_ABOVE)
/* clang-format on */
#else
static void mcg_plane_both(const int32_t *sums, const int32_t *at, const int8_t *x, int8_t *e,
                           const int32_t *factor, const int32_t *end, uint32_t low, uint32_t high,
                           uint32_t *ends)
{
    for (; sums != end; sums += MCG_PLANE_CHANNELS) {
        const uint32_t here = mcg_load32(x + *at);
        const uint32_t a =
            mcg_ssat16(mcg_halves(mcg_smmulr(sums[0], factor[0]), mcg_smmulr(sums[2], factor[2])));
        const uint32_t b =
            mcg_ssat16(mcg_halves(mcg_smmulr(sums[1], factor[1]), mcg_smmulr(sums[3], factor[3])));
        uint32_t four = mcg_uxtb16(a) | mcg_uxtb16(b) << 8;
        four = mcg_select8(here, low, four, 0);
        four = mcg_select8(high, here, four, 0);
        ends[0] = mcg_select8(ends[0], four, four, ends[0]);
        ends[1] = mcg_select8(ends[1], four, ends[1], four);
        mcg_store32(e + *at++, four);
    }
}

static void mcg_plane_low(const int32_t *sums, const int32_t *at, const int8_t *x, int8_t *e,
                          const int32_t *factor, const int32_t *end, uint32_t low, uint32_t high,
                          uint32_t *ends)
{
    (void)high;
    mcg_plane_both(sums, at, x, e, factor, end, low, 0x7f7f7f7fU, ends);
}
#endif

/* False where something saturated, and the ends are as they were. */
static bool mcg_plane_whole(const int32_t *sums, const int32_t *at, int32_t count, const int32_t *factor,
                            int32_t first, mcg_panel_error_t *how)
{
    uint32_t ends[2];
    ends[0] = how->ends[0];
    ends[1] = how->ends[1];
    mcg_q_clear();
    (how->kind == 1 ? mcg_plane_low : mcg_plane_both)(sums, at, how->x + first, how->e + first, factor,
                                                      sums + MCG_PLANE_CHANNELS * count, how->low, how->high,
                                                      ends);
    if (mcg_q_is_set() || mcg_has_lowest(ends[0])) {
        return false;
    }
    how->ends[0] = ends[0];
    how->ends[1] = ends[1];
    return true;
}

/* The same where some are beyond int8, or factors are large: whether some are. */
MCG_APART static bool mcg_plane_beyond(const int32_t *sums, const int32_t *at, int32_t count, int32_t first,
                                       mcg_panel_error_t *how)
{
    const int8_t *x = how->x + first;
    int8_t *e = how->e + first;
    mcg_panel_beyond_t b;
    b.least = 0;
    b.most = 0;
    if (how->kind != 0 && mcg_panel_beyond_factors(how->scale + first, how, &b)) {
        for (int32_t i = 0; i < count; i++) {
            mcg_store32(e + at[i], mcg_panel_beyond(sums, 1, mcg_load32(x + at[i]), how, &b));
            sums += MCG_PLANE_CHANNELS;
        }
    } else {
        for (int32_t i = 0; i < count; i++) {
            b.most = mcg_max(b.most, mcg_row_each(sums, x + at[i], how->x_zero, how->scale + first, how->clip,
                                                  MCG_PLANE_CHANNELS, e + at[i]));
            sums += MCG_PLANE_CHANNELS;
        }
    }
    b.most = mcg_max(b.most, -b.least);
    how->highest = mcg_max(how->highest, b.most);
    return b.most > 127;
}

void mcg_plane_errors(const int32_t *sums, const int32_t *at, int32_t count, const int32_t *factor,
                      int32_t first, mcg_panel_error_t *how)
{
    int32_t beyond = 0;
    if (how->kind == 0 || factor == NULL || how->beyond) {
        how->beyond = mcg_plane_beyond(sums, at, count, first, how);
        return;
    }
    if (mcg_plane_whole(sums, at, count, factor, first, how)) {
        return;
    }
    for (int32_t i = 0; i < count; i += MCG_ERRORS_RUN) {
        const int32_t some = mcg_min(count - i, MCG_ERRORS_RUN);
        const int32_t *const here = sums + MCG_PLANE_CHANNELS * i;
        if (!mcg_plane_whole(here, at + i, some, factor, first, how)) {
            beyond += mcg_plane_beyond(here, at + i, some, first, how) ? some : 0;
        }
    }
    how->beyond = 2 * beyond > count; /* as will be those that follow */
}
