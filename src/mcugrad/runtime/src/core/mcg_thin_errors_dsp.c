/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Sums of few terms become errors in the registers they were made in: eight of them, four channels of two
 * pixels. In bytes as they saturate, with the flag Q; or in halves of words, whose largest magnitude is exact
 * as long as it is not the largest that a half can hold.
 */
#if !MCG_HAS_MVE
/* An error, whatever it is beyond. */
static int32_t mcg_thin_error(const uint32_t *a, const mcg_thin_run_t *run, int32_t channel, int32_t pixel)
{
    int32_t sum = 0;
    for (int32_t k = 0; k < run->steps; k++) {
        sum = mcg_smlad(a[4 * k + channel], run->b[2 * k + pixel], sum);
    }
    return mcg_smmulr(sum, run->factor[channel]);
}

/* The largest magnitude of all errors, where halves do not hold it. */
static int32_t mcg_thin_peak(const uint32_t *a, const mcg_thin_run_t *run)
{
    mcg_thin_run_t now = *run;
    int32_t highest = 0;
    for (; now.x != run->x_end; now.x += 4) {
        for (int32_t i = 0; i < 8; i++) {
            const int32_t here = now.x[(i & 1) * run->apart + (i >> 1)];
            if (here >= mcg_byte(run->low, 0) && here <= mcg_byte(run->high, 0)) {
                highest = mcg_max(highest, mcg_abs(mcg_thin_error(a, &now, i >> 1, i & 1)));
            }
        }
        a += 4 * run->steps;
        now.factor += 4;
    }
    return highest;
}

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* 11 instructions, 44 bytes, for 16 products. */
#define MCG_THIN_STEP                                                                           \
    "ldrd r2, r3, [r1], #8\n\t"                                                                 \
    "ldrd r12, lr, [r0], #16\n\t"                                                               \
    "smlad r4, r12, r2, r4\n\t" "smlad r5, r12, r3, r5\n\t"                                     \
    "smlad r6, lr, r2, r6\n\t" "smlad r7, lr, r3, r7\n\t"                                       \
    "ldrd r12, lr, [r0, #-8]\n\t"                                                               \
    "smlad r8, r12, r2, r8\n\t" "smlad r9, r12, r3, r9\n\t"                                     \
    "smlad r10, lr, r2, r10\n\t" "smlad r11, lr, r3, r11\n\t"

/* Sums times their factors, two in a word: channels 0 and 2, 1 and 3 of one pixel in r4 and r6, of the other in r5 and
 * r7; then r1 x, r12 to the other pixel, r2 and r3 their x. On the stack is the run, with where the loop is entered in
 * the place of the steps. The loop does four steps; of the first round it leaves out what makes their number, but for
 * the one before it, a multiple. */
#define MCG_THIN_SUMS(within)                                                                      \
    "push {r1, r4-r11, lr}\n\t"                                                                 \
    "sub sp, sp, #48\n\t"                                                                       \
    "ldm r1, {r2-r12, lr}\n\t"                                                                  \
    "stm sp, {r2-r12, lr}\n\t"                                                                  \
    "adr r2, 3f\n\t"                                                                            \
    "subs r3, r3, #1\n\t"                                                                       \
    "beq 4f\n\t"                                                                                \
    "rsb r3, r3, #0\n\t"                                                                        \
    "and r3, r3, #3\n\t"                                                                        \
    "mov r12, #44\n\t"                                                                          \
    "adr r2, 2f\n\t"                                                                            \
    "mla r2, r3, r12, r2\n\t"                                                                   \
    "4:\n\t"                                                                                    \
    "orr r2, r2, #1\n\t"                                                                        \
    "str r2, [sp, #4]\n\t"                                                                      \
    "1:\n\t"                                                                                    \
    "ldr r1, [sp]\n\t"                                                                          \
    "ldrd r2, r3, [r1], #8\n\t"                                                                 \
    "ldrd r12, lr, [r0], #16\n\t"                                                               \
    "smuad r4, r12, r2\n\t" "smuad r5, r12, r3\n\t"                                             \
    "smuad r6, lr, r2\n\t" "smuad r7, lr, r3\n\t"                                               \
    "ldrd r12, lr, [r0, #-8]\n\t"                                                               \
    "smuad r8, r12, r2\n\t" "smuad r9, r12, r3\n\t"                                             \
    "smuad r10, lr, r2\n\t" "smuad r11, lr, r3\n\t"                                             \
    "ldr r2, [sp, #4]\n\t"                                                                      \
    "bx r2\n\t"                                                                                 \
    ".p2align 2\n"                                                                              \
    "2:\n\t"                                                                                    \
    MCG_THIN_STEP MCG_THIN_STEP MCG_THIN_STEP MCG_THIN_STEP                                     \
    "ldr r2, [sp, #8]\n\t"                                                                      \
    "cmp r1, r2\n\t"                                                                            \
    "bne 2b\n\t"                                                                                \
    ".p2align 2\n"                                                                              \
    "3:\n\t"                                                                                    \
    "ldr r1, [sp, #12]\n\t"                                                                     \
    "ldmia r1!, {r2, r3, r12, lr}\n\t"                                                          \
    "str r1, [sp, #12]\n\t"                                                                     \
    "smmulr r4, r4, r2\n\t" "smmulr r5, r5, r2\n\t"                                             \
    "smmulr r6, r6, r3\n\t" "smmulr r7, r7, r3\n\t"                                             \
    "smmulr r8, r8, r12\n\t" "smmulr r9, r9, r12\n\t"                                           \
    "smmulr r10, r10, lr\n\t" "smmulr r11, r11, lr\n\t"                                         \
    "ldr r1, [sp, #16]\n\t"                                                                     \
    "ldr r12, [sp, #24]\n\t"                                                                    \
    within                                                                                      \
    "pkhbt r4, r4, r8, lsl #16\n\t" "pkhbt r6, r6, r10, lsl #16\n\t"                            \
    "pkhbt r5, r5, r9, lsl #16\n\t" "pkhbt r7, r7, r11, lsl #16\n\t"                            \
    "ldr r2, [r1]\n\t"                                                                          \
    "ldr r3, [r1, r12]\n\t"
/* r4 and r5 four bytes of either pixel. */
#define MCG_THIN_BYTES                                                                          \
    "ssat16 r4, #8, r4\n\t" "ssat16 r6, #8, r6\n\t"                                             \
    "ssat16 r5, #8, r5\n\t" "ssat16 r7, #8, r7\n\t"                                             \
    "uxtb16 r4, r4\n\t" "uxtb16 r6, r6\n\t" "uxtb16 r5, r5\n\t" "uxtb16 r7, r7\n\t"             \
    "orr r4, r4, r6, lsl #8\n\t" "orr r5, r5, r7, lsl #8\n\t"
/* What is not above a bound is flat, and what is above another. */
#define MCG_THIN_LOW                                                                            \
    "ssub8 r9, r2, r6\n\t" "sel r4, r4, r8\n\t"                                                 \
    "ssub8 r9, r3, r6\n\t" "sel r5, r5, r8\n\t"
#define MCG_THIN_HIGH                                                                           \
    "ssub8 r9, r7, r2\n\t" "sel r4, r4, r8\n\t"                                                 \
    "ssub8 r9, r7, r3\n\t" "sel r5, r5, r8\n\t"
/* r1 x. */
#define MCG_THIN_END                                                                            \
    "ldrd r12, lr, [sp, #24]\n\t"                                                               \
    "str r5, [lr, r12]\n\t"                                                                     \
    "str r4, [lr], #4\n\t"                                                                      \
    "str lr, [sp, #28]\n\t"                                                                     \
    "add r1, r1, #4\n\t"                                                                        \
    "str r1, [sp, #16]\n\t"                                                                     \
    "ldr r2, [sp, #20]\n\t"                                                                     \
    "cmp r1, r2\n\t"                                                                            \
    "bne 1b\n\t"                                                                                \
    "ldrd r2, r3, [sp, #40]\n\t"                                                                \
    "add sp, sp, #48\n\t"                                                                       \
    "pop {r1, r4-r11, lr}\n\t"                                                                  \
    "strd r2, r3, [r1, #40]\n\t"                                                                \
    "bx lr\n\t"
#define MCG_THIN_FUNCTION(name, flat)                                                           \
    MCG_NAKED static void name(MCG_SPARE const uint32_t *a, MCG_SPARE mcg_thin_run_t *run)      \
    {                                                                                           \
        __asm__ volatile(                                                                       \
            MCG_THIN_SUMS("")                                                                   \
            MCG_THIN_BYTES                                                                      \
            "ldrd r6, r7, [sp, #32]\n\t"                                                        \
            "mov r8, #0\n\t"                                                                    \
            flat                                                                                \
            "ldrd r9, r10, [sp, #40]\n\t"                                                       \
            "ssub8 r2, r4, r5\n\t" "sel r3, r4, r5\n\t" "sel r2, r5, r4\n\t"                    \
            "ssub8 r6, r9, r2\n\t" "sel r9, r2, r9\n\t"                                         \
            "ssub8 r6, r3, r10\n\t" "sel r10, r3, r10\n\t"                                      \
            "strd r9, r10, [sp, #40]\n\t"                                                       \
            MCG_THIN_END);                                                                      \
    }

MCG_THIN_FUNCTION(mcg_thin_low, MCG_THIN_LOW)
MCG_THIN_FUNCTION(mcg_thin_both, MCG_THIN_LOW MCG_THIN_HIGH)

/* Halves of two words, a pixel of which x is, that are not flat. */
#define MCG_THIN_MASK(x, a, b)                                                                  \
    "ssub8 r12, " x ", r8\n\t" "sel r12, r11, r10\n\t"                                          \
    "ssub8 lr, r9, " x "\n\t" "sel r12, r12, r10\n\t"                                           \
    "sxtb16 lr, r12\n\t" "and " a ", " a ", lr\n\t"                                             \
    "sxtb16 lr, r12, ror #8\n\t" "and " b ", " b ", lr\n\t"
/* Their smallest and largest into r8 and r9. */
#define MCG_THIN_ENDS(a, b)                                                                     \
    "ssub16 r2, " a ", " b "\n\t" "sel r3, " a ", " b "\n\t" "sel r2, " b ", " a "\n\t"         \
    "ssub16 r10, r8, r2\n\t" "sel r8, r2, r8\n\t"                                               \
    "ssub16 r10, r3, r9\n\t" "sel r9, r3, r9\n\t"

MCG_NAKED static void mcg_thin_exact(MCG_SPARE const uint32_t *a, MCG_SPARE mcg_thin_run_t *run)
{
    __asm__ volatile(
        MCG_THIN_SUMS("ssat r4, #16, r4\n\t" "ssat r5, #16, r5\n\t"
                      "ssat r6, #16, r6\n\t" "ssat r7, #16, r7\n\t"
                      "ssat r8, #16, r8\n\t" "ssat r9, #16, r9\n\t"
                      "ssat r10, #16, r10\n\t" "ssat r11, #16, r11\n\t")
        "ldrd r8, r9, [sp, #32]\n\t"
        "mov r10, #0\n\t"
        "mvn r11, #0\n\t"
        MCG_THIN_MASK("r2", "r4", "r6")
        MCG_THIN_MASK("r3", "r5", "r7")
        "ldrd r8, r9, [sp, #40]\n\t"
        MCG_THIN_ENDS("r4", "r6")
        MCG_THIN_ENDS("r5", "r7")
        "strd r8, r9, [sp, #40]\n\t"
        MCG_THIN_BYTES
        "mov r6, #0x81818181\n\t"
        "ssub8 r2, r4, r6\n\t" "sel r4, r4, r6\n\t"
        "ssub8 r2, r5, r6\n\t" "sel r5, r5, r6\n\t"
        MCG_THIN_END);
}
/* clang-format on */
#else
/* Four errors of a pixel, two in a word: channels 0 and 2, 1 and 3. */
static void mcg_thin_two(const uint32_t *a, const mcg_thin_run_t *run, int32_t pixel, uint32_t two[2])
{
    int32_t error[4];
    for (int32_t i = 0; i < 4; i++) {
        error[i] = mcg_clamp(mcg_thin_error(a, run, i, pixel), -32768, 32767);
    }
    two[0] = mcg_halves(error[0], error[2]);
    two[1] = mcg_halves(error[1], error[3]);
}

static uint32_t mcg_thin_bytes(const uint32_t two[2])
{
    return mcg_uxtb16(mcg_ssat16(two[0])) | mcg_uxtb16(mcg_ssat16(two[1])) << 8;
}

/* The same as in assembler: `exact` tells whether ends are of halves. */
static void mcg_thin_all(const uint32_t *a, mcg_thin_run_t *all, bool exact)
{
    mcg_thin_run_t now = *all;
    mcg_thin_run_t *const run = &now;
    for (; run->x != run->x_end; run->x += 4) {
        for (int32_t pixel = 0; pixel < 2; pixel++) {
            const int32_t at = pixel * run->apart;
            const uint32_t here = mcg_load32(run->x + at);
            const uint32_t flat =
                mcg_select8(run->high, here, mcg_select8(here, run->low, 0xffffffffU, 0), 0);
            uint32_t two[2];
            uint32_t four;
            mcg_thin_two(a, run, pixel, two);
            if (exact) {
                two[0] &= mcg_sxtb16(flat);
                two[1] &= mcg_sxtb16_odd(flat);
                for (int32_t i = 0; i < 2; i++) {
                    run->least = mcg_select16(run->least, two[i], two[i], run->least);
                    run->most = mcg_select16(run->most, two[i], run->most, two[i]);
                }
                four = mcg_thin_bytes(two);
                four = mcg_select8(four, 0x81818181U, four, 0x81818181U);
            } else {
                four = mcg_thin_bytes(two) & flat;
                run->least = mcg_select8(run->least, four, four, run->least);
                run->most = mcg_select8(run->most, four, run->most, four);
            }
            mcg_store32(run->e + at, four);
        }
        a += 4 * run->steps;
        run->factor += 4;
        run->e += 4;
    }
    all->least = run->least;
    all->most = run->most;
}

static void mcg_thin_both(const uint32_t *a, mcg_thin_run_t *run) { mcg_thin_all(a, run, false); }

static void mcg_thin_low(const uint32_t *a, mcg_thin_run_t *run) { mcg_thin_all(a, run, false); }

static void mcg_thin_exact(const uint32_t *a, mcg_thin_run_t *run) { mcg_thin_all(a, run, true); }
#endif

void mcg_thin_errors(const uint32_t *a, mcg_thin_run_t *run, bool halves, mcg_panel_error_t *how)
{
    int32_t highest;
    if (halves && !how->beyond) {
        run->least = how->ends[0];
        run->most = how->ends[1];
        mcg_q_clear();
        (how->kind == 1 ? mcg_thin_low : mcg_thin_both)(a, run);
        if (!mcg_q_is_set() && !mcg_has_lowest(run->least)) {
            how->ends[0] = run->least;
            how->ends[1] = run->most;
            return;
        }
    }
    run->least = 0;
    run->most = 0;
    mcg_thin_exact(a, run);
    highest = mcg_max(mcg_max(mcg_half(run->most, 0), mcg_half(run->most, 1)),
                      -mcg_min(mcg_half(run->least, 0), mcg_half(run->least, 1)));
    how->highest = mcg_max(how->highest, highest < 32767 ? highest : mcg_thin_peak(a, run));
    how->beyond = highest > 127; /* as will be those that follow */
}
#endif
