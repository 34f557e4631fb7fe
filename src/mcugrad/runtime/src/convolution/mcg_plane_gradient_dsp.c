/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * A word of errors is multiplied with words of inputs: a tap that meets them at even places is one product of
 * words; one at odd places crosses from word to word, as does its neighbour but one. What crosses is put
 * together once, halves exchanged, which SMLADX undoes, and serves both.
 */
#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* r0 errors; r1 inputs; r3 end of a row of errors; r4 to r6 sums; r7 to r10 words of errors; r2, r11, r12 and lr of
 * inputs. */
#define MCG_GRADIENT_OPEN                                                         \
    "push {r2, r4-r11, lr}\n\t"                                                   \
    "0:\n\t"                                                                      \
    "ldm r2, {r4-r6}\n\t"                                                         \
    "1:\n\t"
#define MCG_GRADIENT_CLOSE                                                        \
    "cmp r0, r3\n\t"                                                              \
    "bne 1b\n\t"                                                                  \
    "ldr r2, [sp, #40]\n\t"                                                       \
    "ldm r2, {r7-r12, lr}\n\t"                                                    \
    "cmp r3, r10\n\t"                                                             \
    "add r0, r0, r7\n\t"                                                          \
    "add r1, r1, r8\n\t"                                                          \
    "add r3, r3, r9\n\t"                                                          \
    "bne 1b\n\t"                                                                  \
    "ldr r2, [sp]\n\t"                                                            \
    "stmia r2!, {r4-r6}\n\t"                                                      \
    "str r2, [sp]\n\t"                                                            \
    "sub r3, r10, r11\n\t"                                                        \
    "sub r1, r1, r8\n\t"                                                          \
    "add r1, r1, r12\n\t"                                                         \
    "add r0, r3, r7\n\t"                                                          \
    "sub r0, r0, r9\n\t"                                                          \
    "cmp r2, lr\n\t"                                                              \
    "bne 0b\n\t"                                                                  \
    "ldr r12, [sp, #40]\n\t"                                                      \
    "add r4, r12, #28\n\t"                                                        \
    "ldm r4, {r4-r7}\n\t"                                                         \
    "add r0, r0, r4\n\t"                                                          \
    "add r3, r3, r4\n\t"                                                          \
    "add r1, r1, r5\n\t"                                                          \
    "add r10, r10, r4\n\t"                                                        \
    "add lr, lr, r6\n\t"                                                          \
    "str r10, [r12, #12]\n\t"                                                     \
    "str lr, [r12, #24]\n\t"                                                      \
    "cmp r10, r7\n\t"                                                             \
    "bne 0b\n\t"                                                                  \
    "pop {r2, r4-r11, pc}\n\t"
/* Taps 0 to 2 of a word of errors, with two words of inputs. */
#define MCG_GRADIENT_EVEN(e, p0, p1)                                              \
    "smlad r4, " e ", " p0 ", r4\n\t"                                             \
    "smlabt r5, " e ", " p0 ", r5\n\t"                                            \
    "smlatb r5, " e ", " p1 ", r5\n\t"                                            \
    "smlad r6, " e ", " p1 ", r6\n\t"
/* Taps 1 to 3: p0 is what crosses from it to p1, and p1 becomes what crosses from it to p2. */
#define MCG_GRADIENT_CROSS(p0, p1) "pkhbt " p0 ", " p1 ", " p0 "\n\t"
#define MCG_GRADIENT_ODD(e, p0, p1, p2)                                           \
    "smlad r5, " e ", " p1 ", r5\n\t"                                             \
    "smladx r4, " e ", " p0 ", r4\n\t"                                            \
    MCG_GRADIENT_CROSS(p1, p2)                                                    \
    "smladx r6, " e ", " p1 ", r6\n\t"
/* The same with a stride of 2: an error of either half of a word meets a word of its own. */
#define MCG_GRADIENT_WIDE(e, p0, p1, p2)                                          \
    "smlabb r4, " e ", " p0 ", r4\n\t" "smlatb r4, " e ", " p1 ", r4\n\t"         \
    "smlabt r5, " e ", " p0 ", r5\n\t" "smlatt r5, " e ", " p1 ", r5\n\t"         \
    "smlabb r6, " e ", " p1 ", r6\n\t" "smlatb r6, " e ", " p2 ", r6\n\t"
#define MCG_GRADIENT_WIDE_ODD(e, p0, p1, p2)                                      \
    "smlabt r4, " e ", " p0 ", r4\n\t" "smlatt r4, " e ", " p1 ", r4\n\t"         \
    "smlabb r5, " e ", " p1 ", r5\n\t" "smlatb r5, " e ", " p2 ", r5\n\t"         \
    "smlabt r6, " e ", " p1 ", r6\n\t" "smlatt r6, " e ", " p2 ", r6\n\t"
#define MCG_GRADIENT_FUNCTION(name)                                                            \
    MCG_NAKED static void name(MCG_SPARE const uint32_t *e, MCG_SPARE const uint32_t *x,       \
                               MCG_SPARE int32_t *sums, MCG_SPARE const uint32_t *end,         \
                               MCG_SPARE mcg_plane_walk_t *walk)

MCG_GRADIENT_FUNCTION(mcg_gradient_even)
{
    __asm__ volatile(
        MCG_GRADIENT_OPEN
        "ldmia r0!, {r7-r10}\n\t"
        "ldmia r1!, {r2, r11, r12, lr}\n\t"
        MCG_GRADIENT_EVEN("r7", "r2", "r11")
        MCG_GRADIENT_EVEN("r8", "r11", "r12")
        MCG_GRADIENT_EVEN("r9", "r12", "lr")
        "ldr r2, [r1]\n\t"
        MCG_GRADIENT_EVEN("r10", "lr", "r2")
        MCG_GRADIENT_CLOSE);
}

MCG_GRADIENT_FUNCTION(mcg_gradient_odd)
{
    __asm__ volatile(
        MCG_GRADIENT_OPEN
        "ldmia r0!, {r7-r10}\n\t"
        "ldmia r1!, {r2, r11, r12, lr}\n\t"
        MCG_GRADIENT_CROSS("r2", "r11")
        MCG_GRADIENT_ODD("r7", "r2", "r11", "r12")
        MCG_GRADIENT_ODD("r8", "r11", "r12", "lr")
        "ldm r1, {r2, r11}\n\t"
        MCG_GRADIENT_ODD("r9", "r12", "lr", "r2")
        MCG_GRADIENT_ODD("r10", "lr", "r2", "r11")
        MCG_GRADIENT_CLOSE);
}

MCG_GRADIENT_FUNCTION(mcg_gradient_two_even)
{
    __asm__ volatile(
        MCG_GRADIENT_OPEN
        "ldmia r0!, {r7, r8}\n\t"
        "ldm r1, {r2, r11, r12}\n\t"
        "add r1, r1, #8\n\t"
        MCG_GRADIENT_EVEN("r7", "r2", "r11")
        MCG_GRADIENT_EVEN("r8", "r11", "r12")
        MCG_GRADIENT_CLOSE);
}

MCG_GRADIENT_FUNCTION(mcg_gradient_two_odd)
{
    __asm__ volatile(
        MCG_GRADIENT_OPEN
        "ldmia r0!, {r7, r8}\n\t"
        "ldm r1, {r2, r11, r12, lr}\n\t"
        "add r1, r1, #8\n\t"
        MCG_GRADIENT_CROSS("r2", "r11")
        MCG_GRADIENT_ODD("r7", "r2", "r11", "r12")
        MCG_GRADIENT_ODD("r8", "r11", "r12", "lr")
        MCG_GRADIENT_CLOSE);
}

MCG_GRADIENT_FUNCTION(mcg_gradient_wide)
{
    __asm__ volatile(
        MCG_GRADIENT_OPEN
        "ldmia r0!, {r7, r8}\n\t"
        "ldm r1, {r2, r10, r11, r12, lr}\n\t"
        "add r1, r1, #16\n\t"
        MCG_GRADIENT_WIDE("r7", "r2", "r10", "r11")
        MCG_GRADIENT_WIDE("r8", "r11", "r12", "lr")
        MCG_GRADIENT_CLOSE);
}

MCG_GRADIENT_FUNCTION(mcg_gradient_wide_odd)
{
    __asm__ volatile(
        MCG_GRADIENT_OPEN
        "ldmia r0!, {r7, r8}\n\t"
        "ldm r1, {r2, r10, r11, r12, lr}\n\t"
        "add r1, r1, #16\n\t"
        MCG_GRADIENT_WIDE_ODD("r7", "r2", "r10", "r11")
        MCG_GRADIENT_WIDE_ODD("r8", "r11", "r12", "lr")
        MCG_GRADIENT_CLOSE);
}
/* clang-format on */

void mcg_plane_gradient(int32_t kind, const uint32_t *e, const uint32_t *x, int32_t *sums,
                        const uint32_t *end, mcg_plane_walk_t *walk)
{
    switch (kind) {
        case 0:
            mcg_gradient_even(e, x, sums, end, walk);
            break;
        case MCG_PLANE_ODD:
            mcg_gradient_odd(e, x, sums, end, walk);
            break;
        case MCG_PLANE_TWO:
            mcg_gradient_two_even(e, x, sums, end, walk);
            break;
        case MCG_PLANE_TWO | MCG_PLANE_ODD:
            mcg_gradient_two_odd(e, x, sums, end, walk);
            break;
        case MCG_PLANE_TWO | MCG_PLANE_WIDE:
            mcg_gradient_wide(e, x, sums, end, walk);
            break;
        default:
            mcg_gradient_wide_odd(e, x, sums, end, walk);
            break;
    }
}
#else
/* Pixel `at` of a plane. */
static int32_t mcg_gradient_pixel(const uint32_t *x, int32_t at)
{
    return mcg_half(x[at / 2], (uint32_t)at & 1U);
}

void mcg_plane_gradient(int32_t kind, const uint32_t *e, const uint32_t *x, int32_t *sums,
                        const uint32_t *end, mcg_plane_walk_t *walk)
{
    const int32_t stride = (kind & MCG_PLANE_WIDE) != 0 ? 2 : 1;
    const uint32_t *begin = e;
    const uint32_t *first = end;
    for (;;) {
        for (; e != end; e++) {
            for (int32_t i = 0; i < 6; i++) {
                const int32_t at = (i % 2) * stride + i / 2 + (kind & MCG_PLANE_ODD);
                sums[i / 2] += mcg_half(*e, (uint32_t)i & 1U) * mcg_gradient_pixel(x, at);
            }
            x += stride;
        }
        if (end != walk->last) {
            e += walk->e_skip / 4;
            x += walk->x_skip / 4;
            end += walk->pitch / 4;
            continue;
        }
        sums += 3;
        x += walk->on / 4;
        if (sums == walk->sums) {
            begin += walk->e_plane / 4;
            first += walk->e_plane / 4;
            x += walk->x_plane / 4;
            walk->last += walk->e_plane / 4;
            walk->sums += walk->size / 4;
            if (walk->last == walk->final) {
                return;
            }
        }
        e = begin;
        end = first;
    }
}
#endif
