/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
#if MCG_MVE_INSTRUCTIONS
#define MCG_PIECES_WORD                                                 \
    "ldr r8, [r4], #4\n\t"                                              \
    "ldr r9, [r5], #4\n\t"                                              \
    "ldr r10, [r6], #4\n\t"                                             \
    "ldr r11, [r7], #4\n\t"                                             \
    "stmia r0!, {r8-r11}\n\t"
#else
#define MCG_PIECES_TWO(a, b, first, second)                             \
    "ldr r8, [" a "], #4\n\t"                                           \
    "ldr r9, [" b "], #4\n\t"                                           \
    "sxtab16 r10, r3, r8\n\t"                                           \
    "sxtab16 r11, r3, r9\n\t"                                           \
    "strd r10, r11, [r0], #" first "\n\t"                               \
    "sxtab16 r8, r3, r8, ror #8\n\t"                                    \
    "sxtab16 r9, r3, r9, ror #8\n\t"                                    \
    "strd r8, r9, [r0], #" second "\n\t"

#define MCG_PIECES_WORD                                                 \
    MCG_PIECES_TWO("r4", "r5", "16", "-8")                              \
    MCG_PIECES_TWO("r6", "r7", "16", "8")
#endif

/* Of four windows, whole rows of the panel. r0 panel; r4 to r7 where they are; r2 where the first one's row ends; r1, r3,
 * r12, lr the first four of `copy`. */
MCG_NAKED
void mcg_panel_pieces(MCG_SPARE uint32_t *panel, MCG_SPARE const mcg_pieces_t *from,
                      MCG_SPARE const mcg_copy_t *copy)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "ldm r1, {r4-r7}\n\t"
        "ldm r2, {r1, r3, r12, lr}\n\t"
        "1:\n\t"
        "add r2, r4, r1\n\t"
        "2:\n\t"
        MCG_PIECES_WORD
        "cmp r4, r2\n\t"
        "bne 2b\n\t"
        "add r4, r4, lr\n\t"
        "add r5, r5, lr\n\t"
        "add r6, r6, lr\n\t"
        "add r7, r7, lr\n\t"
        "subs r12, r12, #1\n\t"
        "bne 1b\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
void mcg_panel_pieces(uint32_t *panel, const mcg_pieces_t *from, const mcg_copy_t *copy)
{
    for (int32_t i = 0; i < 4; i++) {
        uint32_t *to = panel + i;
        for (int32_t row = 0; row < copy->rows; row++) {
            const int8_t *const piece = from->at[i] + row * (copy->bytes + copy->skip);
            for (int32_t k = 0; k < copy->bytes; k += 4) {
                mcg_panel_word(mcg_load32(piece + k), copy->less, to);
                to += MCG_PANEL_FOUR;
            }
        }
    }
}
#endif
