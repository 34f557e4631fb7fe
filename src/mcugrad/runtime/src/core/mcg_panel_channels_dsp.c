/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

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

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* The same of some pairs of pixels, at least one. r0 and r1 panels; r2 errors; r3 from pixel to pixel; r12 pairs. */
MCG_NAKED static void mcg_channels_four(MCG_SPARE uint32_t *panel, MCG_SPARE uint32_t *next,
                                        MCG_SPARE const int8_t *e, MCG_SPARE int32_t pitch,
                                        MCG_SPARE int32_t pairs)
{
    __asm__ volatile(
        "ldr r12, [sp]\n\t"
        "push {r4-r7}\n\t"
        "1:\n\t"
        "ldr r4, [r2]\n\t"
        "ldr r5, [r2, r3]\n\t"
        "add r2, r2, r3, lsl #1\n\t"
        "pkhbt r6, r4, r5, lsl #16\n\t"
        "pkhtb r7, r5, r4, asr #16\n\t"
        "sxtb16 r4, r6\n\t"
        "sxtb16 r5, r6, ror #8\n\t"
        "strd r4, r5, [r0], #8\n\t"
        "sxtb16 r4, r7\n\t"
        "sxtb16 r5, r7, ror #8\n\t"
        "strd r4, r5, [r1], #8\n\t"
        "subs r12, r12, #1\n\t"
        "bne 1b\n\t"
        "pop {r4-r7}\n\t"
        "bx lr\n\t");
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

void mcg_panel_channels(const int8_t *e, int32_t pitch, int32_t rows, int32_t pixels, uint32_t *panel)
{
    const int32_t size = (pixels + 1) / 2 * 2;
    for (int32_t o = 0; o < rows; o += 4) {
        const int8_t *from = e + o;
        uint32_t *to = panel;
        int32_t i = 0;
        if (rows - o >= 4 && pixels >= 2) {
            mcg_channels_four(to, to + size, from, pitch, pixels / 2);
            i = pixels & ~1;
            from += i * pitch;
            to += i;
        }
        for (; i < pixels; i += 2) {
            const uint32_t a = mcg_channels_word(from, rows - o);
            const uint32_t b = i + 1 < pixels ? mcg_channels_word(from + pitch, rows - o) : 0;
            mcg_channels_two(a, b, to, rows - o > 2 ? to + size : NULL);
            from += 2 * pitch;
            to += 2;
        }
        panel += 2 * size;
    }
}
