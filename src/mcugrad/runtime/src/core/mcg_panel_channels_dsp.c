/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Pixels of a word. */
#define MCG_CHANNELS (MCG_HAS_MVE ? 4 : 2)

#if !MCG_HAS_MVE
/* Four channels of two pixels: rows 0 and 1 to one panel, 2 and 3 to the other. */
static inline void mcg_channels_two(uint32_t a, uint32_t b, uint32_t *panel, uint32_t *next)
{
    const uint32_t low = mcg_pkhbt(a, b);
    const uint32_t high = mcg_pkhtb(a, b);
    panel[0] = mcg_sxtb16(low);
    panel[1] = mcg_sxtb16_odd(low);
    if (next != NULL) {
        next[0] = mcg_sxtb16(high);
        next[1] = mcg_sxtb16_odd(high);
    }
}

#endif

#if MCG_HAS_MVE
static void mcg_channels_four(uint32_t *panel, uint32_t *next, const int8_t *e, int32_t pitch, int32_t words)
{
    mcg_panel_across(e, pitch, words, panel, next);
}
#elif MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* The same of some pairs of pixels, at least one; two pairs at a time, an odd one first. r0 and r1 panels; r2 errors; r3
 * from pixel to pixel, lr three times that; r12 pairs. */
MCG_NAKED static void mcg_channels_four(MCG_SPARE uint32_t *panel, MCG_SPARE uint32_t *next,
                                        MCG_SPARE const int8_t *e, MCG_SPARE int32_t pitch,
                                        MCG_SPARE int32_t pairs)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "ldr r12, [sp, #36]\n\t"
        "add lr, r3, r3, lsl #1\n\t"
        "lsrs r12, r12, #1\n\t"
        "bcc 1f\n\t"
        "ldr r4, [r2]\n\t" "ldr r5, [r2, r3]\n\t"
        "add r2, r2, r3, lsl #1\n\t"
        "pkhbt r6, r4, r5, lsl #16\n\t" "pkhtb r7, r5, r4, asr #16\n\t"
        "sxtb16 r4, r6\n\t" "sxtb16 r5, r6, ror #8\n\t"
        "sxtb16 r6, r7\n\t" "sxtb16 r7, r7, ror #8\n\t"
        "stmia r0!, {r4, r5}\n\t" "stmia r1!, {r6, r7}\n\t"
        "cmp r12, #0\n\t"
        "beq 2f\n\t"
        "1:\n\t"
        "ldr r4, [r2]\n\t" "ldr r5, [r2, r3]\n\t"
        "ldr r8, [r2, r3, lsl #1]\n\t" "ldr r9, [r2, lr]\n\t"
        "add r2, r2, r3, lsl #2\n\t"
        "pkhbt r6, r4, r5, lsl #16\n\t" "pkhtb r7, r5, r4, asr #16\n\t"
        "pkhbt r10, r8, r9, lsl #16\n\t" "pkhtb r11, r9, r8, asr #16\n\t"
        "sxtb16 r4, r6\n\t" "sxtb16 r5, r6, ror #8\n\t"
        "sxtb16 r8, r7\n\t" "sxtb16 r9, r7, ror #8\n\t"
        "sxtb16 r6, r10\n\t" "sxtb16 r7, r10, ror #8\n\t"
        "sxtb16 r10, r11\n\t" "sxtb16 r11, r11, ror #8\n\t"
        "stmia r0!, {r4-r7}\n\t" "stmia r1!, {r8-r11}\n\t"
        "subs r12, r12, #1\n\t"
        "bne 1b\n\t"
        "2:\n\t"
        "pop {r4-r11, pc}\n\t");
}
/* clang-format on */
#else
static void mcg_channels_four(uint32_t *panel, uint32_t *next, const int8_t *e, int32_t pitch, int32_t pairs)
{
    for (int32_t i = 0; i < pairs; i++) {
        mcg_channels_two(mcg_load32(e), mcg_load32(e + pitch), panel + 2 * i, next + 2 * i);
        e += 2 * pitch;
    }
}
#endif

/* Up to four channels of a pixel. */
static uint32_t mcg_channels_word(const int8_t *e, int32_t rows)
{
    uint32_t word = 0;
    for (int32_t i = 0; i < mcg_min(rows, 4); i++) {
        word |= (uint32_t)(uint8_t)e[i] << (8 * i);
    }
    return word;
}

/* Pixels of a word, from one that exists on: of rows 0 and 1, and of 2 and 3 if there are. */
static void mcg_channels_some(const int8_t *e, int32_t pitch, int32_t rows, int32_t pixels, uint32_t *panel,
                              uint32_t *next)
{
    uint32_t place[4] = {0, 0, 0, 0};
    for (int32_t i = 0; i < mcg_min(pixels, MCG_CHANNELS); i++) {
        place[i] = mcg_channels_word(e + i * pitch, rows);
    }
#if MCG_HAS_MVE
    {
        uint32_t more[2];
        mcg_panel_swapped(place, panel, panel + 1, more, more + 1);
        if (rows > 2) {
            next[0] = more[0];
            next[1] = more[1];
        }
    }
#else
    mcg_channels_two(place[0], place[1], panel, rows > 2 ? next : NULL);
#endif
}

#if !MCG_HAS_MVE
/* One to three channels of some pairs of pixels. */
static void mcg_channels_few(const int8_t *e, int32_t pitch, int32_t rows, int32_t pairs, uint32_t *panel,
                             uint32_t *next)
{
    for (uint32_t *const end = panel + 2 * pairs; panel != end; panel += 2) {
        const int8_t *const other = e + pitch;
        panel[0] = mcg_pkhbt((uint32_t)e[0], (uint32_t)other[0]);
        panel[1] = rows == 1 ? 0 : mcg_pkhbt((uint32_t)e[1], (uint32_t)other[1]);
        if (rows == 3) {
            next[0] = mcg_pkhbt((uint32_t)e[2], (uint32_t)other[2]);
            next[1] = 0;
            next += 2;
        }
        e = other + pitch;
    }
}
#endif

void mcg_panel_channels(const int8_t *e, int32_t pitch, int32_t rows, int32_t pixels, uint32_t *panel)
{
    const int32_t size = 2 * mcg_panel_pixels(pixels);
    for (int32_t o = 0; o < rows; o += 4) {
        const int8_t *from = e + o;
        uint32_t *to = panel;
        int32_t i = 0;
        if (rows - o >= 4 && pixels >= MCG_CHANNELS) {
            const int32_t words = pixels / MCG_CHANNELS;
            mcg_channels_four(to, to + size, from, pitch, words);
            i = words * MCG_CHANNELS;
            from += i * pitch;
            to += 2 * words;
        }
#if !MCG_HAS_MVE
        if (rows - o < 4) {
            mcg_channels_few(from, pitch, rows - o, pixels / 2, to, to + size);
            i = pixels & ~1;
            from += i * pitch;
            to += i;
        }
#endif
        for (; i < pixels; i += MCG_CHANNELS) {
            mcg_channels_some(from, pitch, rows - o, pixels - i, to, to + size);
            from += MCG_CHANNELS * pitch;
            to += 2;
        }
        for (; to < panel + size; to++) { /* with Helium, up to a whole vector */
            *to = 0;
            if (rows - o > 2) {
                to[size] = 0;
            }
        }
        panel += 2 * size;
    }
}
