/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Some kernel rows of a part. */
typedef struct {
    int32_t first, rows;
} mcg_lines_t;

#if MCG_MVE_INSTRUCTIONS
/* clang-format off */
#define MCG_COLUMN_WORD                                                 \
    "ldr r12, [r1], #4\n\t"                                             \
    "str r12, [r0], #16\n\t"
/* clang-format on */
#elif MCG_DSP_INSTRUCTIONS
/* clang-format off */
#define MCG_COLUMN_WORD                                                 \
    "ldr r12, [r1], #4\n\t"                                             \
    "sxtab16 lr, r4, r12\n\t"                                           \
    "sxtab16 r12, r4, r12, ror #8\n\t"                                  \
    "str lr, [r0], #16\n\t"                                             \
    "str r12, [r0], #16\n\t"
/* clang-format on */
#endif

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* Of one window, a column. */
MCG_NAKED static void mcg_panel_column(MCG_SPARE uint32_t *panel, MCG_SPARE const int8_t *from,
                                       MCG_SPARE const mcg_copy_t *copy)
{
    __asm__ volatile(
        "push {r4-r7, lr}\n\t"
        "ldm r2, {r3-r7}\n\t"
        "1:\n\t"
        "add r2, r1, r3\n\t"
        "2:\n\t"
        MCG_COLUMN_WORD
        "cmp r1, r2\n\t"
        "bne 2b\n\t"
        "add r1, r1, r6\n\t"
        "add r0, r0, r7\n\t"
        "subs r5, r5, #1\n\t"
        "bne 1b\n\t"
        "pop {r4-r7, pc}\n\t");
}
/* clang-format on */
#else
static void mcg_panel_column(uint32_t *panel, const int8_t *from, const mcg_copy_t *copy)
{
    for (int32_t row = 0; row < copy->rows; row++) {
        const int8_t *const piece = from + row * (copy->bytes + copy->skip);
        for (int32_t i = 0; i < copy->bytes / 4; i++) {
            mcg_panel_word(mcg_load32(piece + 4 * i), copy->less, panel + MCG_PANEL_FOUR * i);
        }
        panel += MCG_PANEL_FOUR / 4 * copy->bytes + copy->over / 4;
    }
}
#endif

/* Words beside the map. */
static void mcg_panel_beside(uint32_t *panel, int32_t words, uint32_t less)
{
    for (uint32_t *const end = panel + MCG_PANEL_FOUR * words; panel < end; panel += MCG_PANEL_FOUR) {
        panel[0] = MCG_HAS_MVE ? less : 0;
        if (!MCG_HAS_MVE) {
            panel[4] = 0;
        }
    }
}

/* Words of one window in a kernel row that exists, byte by byte. */
static void mcg_panel_bytes(const mcg_windows_t *m, int32_t line, int32_t left, int32_t from, int32_t words,
                            uint32_t less, uint32_t *panel)
{
    int32_t tap = from / m->channels;
    int32_t channel = from - tap * m->channels;
    for (int32_t i = 0; i < words; i++) {
        uint32_t word = 0;
        for (int32_t k = 0; k < 4; k++) {
            const int32_t x = left + tap * m->step_w;
            const bool there = tap < m->k_w && x >= 0 && x < m->width;
            const int32_t byte = there ? m->map[line + x * m->pitch + channel] : m->zero;
            word |= ((uint32_t)byte & 0xffU) << (8 * k);
            if (++channel == m->channels) {
                channel = 0;
                tap++;
            }
        }
        mcg_panel_word(word, less, panel);
        panel += MCG_PANEL_FOUR;
    }
}

/* The same tap by tap, where words hold channels of one tap. */
static void mcg_windows_taps(const mcg_windows_t *m, int32_t line, int32_t left, const mcg_part_t *part,
                             uint32_t less, uint32_t *panel)
{
    const int32_t tap = part->from / m->channels;
    int32_t channel = part->from - tap * m->channels;
    int32_t x = left + tap * m->step_w;
    for (int32_t words = part->words; words > 0;) {
        const int32_t here = mcg_min(words, (m->channels - channel) / 4);
        if (x >= 0 && x < m->width) {
            const mcg_copy_t copy = {4 * here, less, 1, 0, 0};
            mcg_panel_column(panel, m->map + line + x * m->pitch + channel, &copy);
        } else {
            mcg_panel_beside(panel, here, less);
        }
        panel += MCG_PANEL_FOUR * here;
        words -= here;
        channel = 0;
        x += m->step_w;
    }
}

/* The same of all kernel rows from `first` on, `rows` of them, where taps next to each other in them are so
 * in the map: zeros, bytes of both, a piece, bytes of both, zeros. */
static void mcg_panel_bordered(const mcg_windows_t *m, int32_t line, int32_t left, const mcg_part_t *part,
                               int32_t rows, uint32_t less, uint32_t *panel)
{
    const int32_t right = left + m->k_w - m->width; /* taps beyond the border */
    const int32_t run = m->k_w * m->channels;
    const int32_t end = part->from + 4 * part->words;
    const int32_t begins = left < 0 ? -left * m->channels : 0;
    const int32_t ends = right > 0 ? run - right * m->channels : mcg_up4(run);
    const int32_t step = m->step_h * m->width * m->pitch;
    const int32_t at = line + left * m->pitch;
    const int32_t a = mcg_clamp(mcg_up4(begins), part->from, end);
    int32_t b = mcg_clamp(ends & ~3, a, end);
    bool behind = (ends & 3) != 0;
    if (b > a && at + (rows - 1) * step + b > m->size) { /* what is behind the last run is not to be read */
        b -= 4;
        behind = true;
    }
    if (b > a) {
        const mcg_copy_t copy = {b - a, less, rows, step - (b - a),
                                 MCG_PANEL_FOUR * (end - part->from - (b - a))};
        mcg_panel_column(panel + MCG_PANEL_FOUR / 4 * (a - part->from), m->map + at + a, &copy);
    }
    if (b - a == end - part->from) {
        return;
    }
    for (int32_t ky = 0; ky < rows; ky++) {
        mcg_panel_beside(panel, (a - part->from) / 4, less);
        mcg_panel_beside(panel + MCG_PANEL_FOUR / 4 * (b - part->from), (end - b) / 4, less);
        if ((begins & 3) != 0 && a > part->from) {
            mcg_panel_bytes(m, line, left, a - 4, 1, less, panel + MCG_PANEL_FOUR / 4 * (a - 4 - part->from));
        }
        if (behind && b < end) {
            mcg_panel_bytes(m, line, left, b, 1, less, panel + MCG_PANEL_FOUR / 4 * (b - part->from));
        }
        line += step;
        panel += MCG_PANEL_FOUR * part->words;
    }
}

/* Of one of four windows, but for kernel rows that mcg_panel_bordered makes: where these begin and end.
 * Apart: what is seldom needed must not make the stack deep. */
MCG_APART static mcg_lines_t mcg_panel_window(const mcg_windows_t *m, int32_t top, int32_t left, bool piece,
                                              const mcg_part_t *part, uint32_t less, uint32_t *panel)
{
    const bool some = left < m->width && left + (m->k_w - 1) * m->step_w >= 0;
    mcg_lines_t own = {0, 0};
    int32_t y = top + part->first * m->step_h;
    for (int32_t ky = 0; ky < part->rows; ky++) {
        const int32_t line = y * m->width * m->pitch;
        if (!some || y < 0 || y >= m->height) {
            mcg_panel_beside(panel, part->words, less);
        } else if (piece) {
            own.first = own.rows == 0 ? ky : own.first;
            own.rows++;
        } else if ((m->channels & 3) == 0) {
            mcg_windows_taps(m, line, left, part, less, panel);
        } else {
            mcg_panel_bytes(m, line, left, part->from, part->words, less, panel);
        }
        y += m->step_h;
        panel += MCG_PANEL_FOUR * part->words;
    }
    return own;
}

/* Four windows whose kernel rows, `rows` of them from `lower` on, are all on the map, as far as each of them
 * is one piece; another one stands in for those that are not. Which those are, in four bits. Apart, so that
 * all this is gone from the stack before these are made. */
MCG_APART static uint32_t mcg_panel_even(const mcg_windows_t *m, const mcg_four_t *at, int32_t lower,
                                         const mcg_part_t *part, int32_t rows, uint32_t less, uint32_t *panel)
{
    const int32_t line = m->width * m->pitch;
    const int32_t right = m->width - (m->k_w - 1) * m->step_w;
    const int32_t most = m->size - (rows - 1) * m->step_h * line - 4 * part->words;
    const mcg_copy_t copy = {4 * part->words, less, rows, m->step_h * line - 4 * part->words, 0};
    const int8_t *whole = m->map;
    mcg_pieces_t from;
    uint32_t others = 0;
    /* Those of one line begin one behind the other. */
    if (at->top[0] == at->top[3] && at->left[0] >= 0 && at->left[3] < right &&
        (at->top[3] + lower) * line + at->left[3] * m->pitch + part->from <= most) {
        whole += (at->top[0] + lower) * line + part->from;
        for (int32_t i = 0; i < 4; i++) {
            from.at[i] = whole + at->left[i] * m->pitch;
        }
        mcg_panel_pieces(panel, &from, &copy);
        return 0;
    }
    for (int32_t i = 0; i < 4; i++) {
        const int32_t place = (at->top[i] + lower) * line + at->left[i] * m->pitch + part->from;
        if (at->left[i] >= 0 && at->left[i] < right && place <= most) {
            whole = m->map + place;
        } else {
            others |= 1U << i;
        }
        from.at[i] = whole;
    }
    if (others == 15U) {
        return others;
    }
    for (int32_t i = 0; (others >> i & 1U) != 0U; i++) { /* those before the first that is there */
        from.at[i] = whole;
    }
    mcg_panel_pieces(panel, &from, &copy);
    return others;
}

/* The same of all four. */
static void mcg_panel_lines(const mcg_windows_t *m, const mcg_four_t *at, int32_t lower,
                            const mcg_part_t *part, int32_t rows, uint32_t less, uint32_t *panel)
{
    uint32_t others = mcg_panel_even(m, at, lower, part, rows, less, panel);
    for (int32_t i = 0; others != 0U; i++) {
        if ((others & 1U) != 0U) {
            mcg_panel_bordered(m, (at->top[i] + lower) * m->width * m->pitch, at->left[i], part, rows, less,
                               panel + i);
        }
        others >>= 1;
    }
}

void mcg_panel_windows(const mcg_windows_t *m, const mcg_four_t *at, const mcg_part_t *part, uint32_t *panel)
{
    const uint32_t less =
        MCG_HAS_MVE ? ((uint32_t)m->zero & 0xffU) * 0x01010101U : mcg_halves(-m->zero, -m->zero);
    const uint32_t none = MCG_HAS_MVE ? less : 0;
    /* Whether taps next to each other in a kernel row are so in the map. */
    const bool piece = m->k_w == 1 || (m->step_w == 1 && m->pitch == m->channels);
    int32_t lower = part->first * m->step_h;
    int32_t rows = part->rows;
    if (piece &&
        at->top[0] == at->top[3]) { /* in one line: kernel rows are there for all four, or for none */
        uint32_t *const end = panel + rows * MCG_PANEL_FOUR * part->words;
        for (; rows > 0 && at->top[0] + lower < 0; rows--) {
            for (uint32_t *const next = panel + MCG_PANEL_FOUR * part->words; panel != next; panel++) {
                *panel = none;
            }
            lower += m->step_h;
        }
        while (rows > 0 && at->top[0] + lower + (rows - 1) * m->step_h >= m->height) {
            rows--;
        }
        for (uint32_t *beside = panel + rows * MCG_PANEL_FOUR * part->words; beside != end; beside++) {
            *beside = none;
        }
        if (rows > 0) {
            mcg_panel_lines(m, at, lower, part, rows, less, panel);
        }
    } else if (piece && at->top[0] + lower >= 0 && at->top[3] + lower + (rows - 1) * m->step_h < m->height) {
        mcg_panel_lines(m, at, lower, part, rows, less, panel);
    } else {
        for (int32_t i = 0; i < 4; i++) {
            const mcg_lines_t own =
                mcg_panel_window(m, at->top[i], at->left[i], piece, part, less, panel + i);
            if (own.rows != 0) {
                mcg_panel_bordered(m, (at->top[i] + lower + own.first * m->step_h) * m->width * m->pitch,
                                   at->left[i], part, own.rows, less,
                                   panel + i + own.first * MCG_PANEL_FOUR * part->words);
            }
        }
    }
}
