/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* The last 1 to 3 bytes of a kernel row, and zeros as weights have them. */
static uint32_t mcg_panel_rest(const int8_t *row, int32_t count, int32_t zero)
{
    uint32_t word = ((uint32_t)zero & 0xffU) * 0x01010101U;
    for (int32_t i = 0; i < count; i++) {
        word = (word & ~((uint32_t)0xff << (8 * i))) | (uint32_t)(uint8_t)row[i] << (8 * i);
    }
    return word;
}

/* Words of a pair of rows that four neighbours are. */
#define MCG_PANEL_TWO (MCG_PANEL_FOUR / 2)

static inline MCG_SPARE void mcg_panel_two(uint32_t a, uint32_t b, uint32_t zero, uint32_t *panel)
{
#if MCG_HAS_MVE
    (void)zero;
    panel[0] = a;
    panel[1] = b;
#else
    panel[0] = mcg_sxtab16(zero, a);
    panel[1] = mcg_sxtab16(zero, b);
    panel[2] = mcg_sxtab16_odd(zero, a);
    panel[3] = mcg_sxtab16_odd(zero, b);
#endif
}

#if MCG_DSP_INSTRUCTIONS && !MCG_HAS_MVE
/* clang-format off */
/* Whole words of two rows, at least one; the end of the panel. r0 panel; r1 first row; r2 to the other one, then
 * that; r3 words, then the end of the first; r12 minus the zero point. */
MCG_NAKED static uint32_t *mcg_panel_words(MCG_SPARE uint32_t *panel, MCG_SPARE const int8_t *row,
                                           MCG_SPARE int32_t next, MCG_SPARE int32_t words,
                                           MCG_SPARE uint32_t less)
{
    __asm__ volatile(
        "ldr r12, [sp]\n\t"
        "push {r4-r7}\n\t"
        "add r2, r2, r1\n\t"
        "add r3, r1, r3, lsl #2\n\t"
        "1:\n\t"
        "ldr r6, [r1], #4\n\t"
        "ldr r7, [r2], #4\n\t"
        "sxtab16 r4, r12, r6\n\t"
        "sxtab16 r5, r12, r7\n\t"
        "sxtab16 r6, r12, r6, ror #8\n\t"
        "sxtab16 r7, r12, r7, ror #8\n\t"
        "stmia r0!, {r4-r7}\n\t"
        "cmp r1, r3\n\t"
        "bne 1b\n\t"
        "pop {r4-r7}\n\t"
        "bx lr\n\t");
}
/* clang-format on */
#else
static uint32_t *mcg_panel_words(uint32_t *panel, const int8_t *row, int32_t next, int32_t words,
                                 uint32_t less)
{
    for (int32_t i = 0; i < words; i++) {
        mcg_panel_two(mcg_load32(row + 4 * i), mcg_load32(row + 4 * i + next), less,
                      panel + MCG_PANEL_TWO * i);
    }
    return panel + MCG_PANEL_TWO * words;
}
#endif

void mcg_panel_rows(const int8_t *w, int32_t pitch, int32_t rows, int32_t run, int32_t zero,
                    const mcg_part_t *part, uint32_t *panel)
{
    const uint32_t less = mcg_halves(-zero, -zero);
    const int32_t words = mcg_min(part->words, (run - part->from) / 4);
    const int32_t rest = words < part->words ? (run - part->from) & 3 : 0;
    for (int32_t o = 0; o < rows; o += 2) {
        const int8_t *a = w + o * pitch + part->first * run + part->from;
        const int32_t next = o + 1 < rows ? pitch : 0;
        for (int32_t ky = 0; ky < part->rows; ky++) {
            const int8_t *from = a;
            if (words != 0) {
                panel = mcg_panel_words(panel, from, next, words, less);
                from += 4 * words;
            }
            if (rest != 0) {
                mcg_panel_two(mcg_panel_rest(from, rest, zero), mcg_panel_rest(from + next, rest, zero), less,
                              panel);
                panel += MCG_PANEL_TWO;
            }
            a += run;
        }
        if (MCG_HAS_MVE) { /* up to a whole vector */
            const int32_t all = part->rows * part->words;
            for (int32_t i = 2 * (mcg_panel_steps(all) - all); i > 0; i--) {
                *panel++ = mcg_panel_rest(a, 0, zero);
            }
        }
    }
}
