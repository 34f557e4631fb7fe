/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Four terms of four rows: words of four channels each, terms in neighbouring words, to two panels of two. */
static inline void mcg_turned_four(uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t less,
                                   int32_t pairs, uint32_t *panel, uint32_t *next)
{
#if MCG_HAS_MVE
    const uint32_t place[4] = {a, b, c, d};
    uint32_t more[2];
    (void)less;
    mcg_panel_swapped(place, panel, panel + 1, more, more + 1);
    if (pairs == 2) {
        next[0] = more[0];
        next[1] = more[1];
    }
#else
    const uint32_t even = mcg_pkhbt(a, c);
    const uint32_t odd = mcg_pkhbt(b, d);
    panel[0] = mcg_sxtab16(less, even);
    panel[1] = mcg_sxtab16_odd(less, even);
    panel[2] = mcg_sxtab16(less, odd);
    panel[3] = mcg_sxtab16_odd(less, odd);
    if (pairs == 2) {
        const uint32_t more = mcg_pkhtb(a, c);
        const uint32_t most = mcg_pkhtb(b, d);
        next[0] = mcg_sxtab16(less, more);
        next[1] = mcg_sxtab16_odd(less, more);
        next[2] = mcg_sxtab16(less, most);
        next[3] = mcg_sxtab16_odd(less, most);
    }
#endif
}

/* Words of a pair of rows that four neighbours are. */
#define MCG_TURNED_TWO (MCG_PANEL_FOUR / 2)

/* A term of `count` channels, 1 to 3 or 4 and more. */
static inline uint32_t mcg_turned_word(const int8_t *from, int32_t count)
{
    uint32_t word = 0;
    if (count >= 4) {
        return mcg_load32(from);
    }
    for (int32_t i = 0; i < count; i++) {
        word |= (uint32_t)(uint8_t)from[i] << (8 * i);
    }
    return word;
}

/* Terms of all output channels of one tap, where these are whole words, one at least, and stand next to each
 * other. */
#if MCG_HAS_MVE
static void mcg_turned_tap(uint32_t *panel, uint32_t *next, const int8_t *w, int32_t pitch, int32_t words,
                           uint32_t less)
{
    (void)less;
    mcg_panel_across(w, pitch, words, panel, next);
}
#elif MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* r0 and r1 panels; r2 terms; r3 from one to the next; lr words; r12 minus the zero point. */
MCG_NAKED static void mcg_turned_tap(MCG_SPARE uint32_t *panel, MCG_SPARE uint32_t *next, MCG_SPARE const int8_t *w,
                                     MCG_SPARE int32_t pitch, MCG_SPARE int32_t words, MCG_SPARE uint32_t less)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "ldr lr, [sp, #36]\n\t"
        "ldr r12, [sp, #40]\n\t"
        "1:\n\t"
        "ldr r4, [r2]\n\t" "ldr r5, [r2, r3]\n\t"
        "add r2, r2, r3, lsl #1\n\t"
        "ldr r8, [r2]\n\t" "ldr r9, [r2, r3]\n\t"
        "add r2, r2, r3, lsl #1\n\t"
        "pkhbt r6, r4, r8, lsl #16\n\t" "pkhbt r7, r5, r9, lsl #16\n\t"
        "pkhtb r10, r8, r4, asr #16\n\t" "pkhtb r11, r9, r5, asr #16\n\t"
        "sxtab16 r4, r12, r6\n\t" "sxtab16 r5, r12, r6, ror #8\n\t"
        "sxtab16 r6, r12, r7\n\t" "sxtab16 r7, r12, r7, ror #8\n\t"
        "sxtab16 r8, r12, r10\n\t" "sxtab16 r9, r12, r10, ror #8\n\t"
        "sxtab16 r10, r12, r11\n\t" "sxtab16 r11, r12, r11, ror #8\n\t"
        "stmia r0!, {r4-r7}\n\t" "stmia r1!, {r8-r11}\n\t"
        "subs lr, lr, #1\n\t"
        "bne 1b\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
static void mcg_turned_tap(uint32_t *panel, uint32_t *next, const int8_t *w, int32_t pitch, int32_t words,
                           uint32_t less)
{
    for (; words > 0; words--) {
        const int8_t *const w2 = w + 2 * pitch;
        mcg_turned_four(mcg_load32(w), mcg_load32(w + pitch), mcg_load32(w2), mcg_load32(w2 + pitch), less, 2,
                        panel, next);
        w += 4 * pitch;
        panel += 4;
        next += 4;
    }
}
#endif

/* Some words of one row of a window, whatever they hold. */
static void mcg_turned_words(const mcg_turned_t *t, const int8_t *row, int32_t channels,
                             const mcg_part_t *part, uint32_t less, uint32_t *panel, uint32_t *next)
{
    const uint32_t none = ((uint32_t)t->zero & 0xffU) * 0x01010101U;
    int32_t column = part->from / t->count;
    int32_t o = part->from - column * t->count;
    for (int32_t i = 0; i < part->words; i++) {
        uint32_t term[4];
        if (channels >= 4 && column < t->columns && o + 4 <= t->count) { /* all of one tap, which is there */
            const int8_t *tap = row + column * t->column_step;
            if (t->active == NULL) {
                mcg_turned_tap(panel, next, tap + o * t->taps, t->taps, 1, less);
            } else {
                for (int32_t k = 0; k < 4; k++) {
                    term[k] = mcg_load32(tap + mcg_active_at(t->active, o + k) * t->taps);
                }
                mcg_turned_four(term[0], term[1], term[2], term[3], less, 2, panel, next);
            }
            panel += MCG_TURNED_TWO;
            next += MCG_TURNED_TWO;
            o += 4;
            if (o == t->count) {
                o = 0;
                column++;
            }
            continue;
        }
        for (int32_t k = 0; k < 4; k++) {
            term[k] = none;
            if (column < t->columns) {
                term[k] = mcg_turned_word(
                    row + mcg_active_at(t->active, o) * t->taps + column * t->column_step, channels);
                if (++o == t->count) {
                    o = 0;
                    column++;
                }
            }
        }
        mcg_turned_four(term[0], term[1], term[2], term[3], less, channels > 2 ? 2 : 1, panel, next);
        panel += MCG_TURNED_TWO;
        next += MCG_TURNED_TWO;
    }
}

MCG_APART
void mcg_panel_turned(const mcg_turned_t *t, int32_t first, int32_t rows, const mcg_part_t *part,
                      uint32_t *panel)
{
    const uint32_t less = mcg_halves(-t->zero, -t->zero);
    const uint32_t none = ((uint32_t)t->zero & 0xffU) * 0x01010101U;
    const int32_t size = 2 * mcg_panel_steps(part->rows * part->words);
    /* Whether words hold output channels of one tap, which stand next to each other. */
    const bool whole = t->active == NULL && (t->count & 3) == 0 && part->from % t->count == 0 &&
                       4 * part->words == t->columns * t->count - part->from;
    for (int32_t c = 0; c < rows; c += 4) {
        const int8_t *row = t->w + first + c + part->first * t->row_step;
        uint32_t *to = panel;
        for (int32_t r = 0; r < part->rows; r++) {
            if (whole && rows - c >= 4) {
                for (int32_t i = part->from / t->count; i < t->columns; i++) {
                    mcg_turned_tap(to, to + size, row + i * t->column_step, t->taps, t->count / 4, less);
                    to += MCG_TURNED_TWO * t->count / 4;
                }
            } else {
                mcg_turned_words(t, row, rows - c, part, less, to, to + size);
                to += MCG_TURNED_TWO * part->words;
            }
            row += t->row_step;
        }
        for (; to < panel + size; to++) { /* with Helium, up to a whole vector */
            *to = none;
            if (rows - c > 2) {
                to[size] = none;
            }
        }
        panel += 2 * size;
    }
}
