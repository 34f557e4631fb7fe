/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Pixels whose sums fit into halves of words. */
#define MCG_SUMS_PIXELS 255
/* Words of a pixel that are added up together: their sums are all the registers that there are. */
#define MCG_SUMS_WORDS 4

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
#define MCG_SUMS_WORD(at, even, odd)                                                      \
    "ldr r12, [r0, #" at "]\n\t"                                                          \
    "sxtab16 " even ", " even ", r12\n\t" "sxtab16 " odd ", " odd ", r12, ror #8\n\t"

/* r0 words; r1 pixels, at least one; r2 from one to the next; r3 halves. */
MCG_NAKED static void mcg_pixels_sixteen(MCG_SPARE const int8_t *x, MCG_SPARE int32_t pixels,
                                         MCG_SPARE int32_t pitch, MCG_SPARE uint32_t *halves)
{
    __asm__ volatile(
        "push {r4-r11}\n\t"
        "ldm r3, {r4-r11}\n\t"
        "1:\n\t"
        MCG_SUMS_WORD("0", "r4", "r5") MCG_SUMS_WORD("4", "r6", "r7")
        MCG_SUMS_WORD("8", "r8", "r9") MCG_SUMS_WORD("12", "r10", "r11")
        "add r0, r0, r2\n\t"
        "subs r1, r1, #1\n\t"
        "bne 1b\n\t"
        "stm r3, {r4-r11}\n\t"
        "pop {r4-r11}\n\t"
        "bx lr\n\t");
}
/* clang-format on */
#endif

/* Adds a row of pixels to the sums of four channels, or more; two share a word. */
static inline MCG_SPARE void mcg_pixels_row(const int8_t *x, int32_t pixels, int32_t pitch, int32_t words,
                                            uint32_t *halves)
{
#if MCG_DSP_INSTRUCTIONS
    if (words == MCG_SUMS_WORDS) {
        mcg_pixels_sixteen(x, pixels, pitch, halves);
        return;
    }
#endif
    for (; pixels != 0; pixels--) {
        for (int32_t i = 0; i < words; i++) {
            const uint32_t four = mcg_load32(x + 4 * i);
            halves[2 * i] = mcg_sxtab16(halves[2 * i], four);
            halves[2 * i + 1] = mcg_sxtab16_odd(halves[2 * i + 1], four);
        }
        x += pitch;
    }
}

/* Adds up to 255 pixels. */
static inline MCG_SPARE void mcg_pixels_words(const int8_t *x, int32_t rows, int32_t line, int32_t columns,
                                              int32_t pitch, int32_t words, int32_t *sums)
{
    uint32_t halves[2 * MCG_SUMS_WORDS];
    for (int32_t i = 0; i < 2 * words; i++) {
        halves[i] = 0;
    }
    for (int32_t y = 0; y < rows; y++) {
        mcg_pixels_row(x, columns, pitch, words, halves);
        x += line;
    }
    for (int32_t i = 0; i < words; i++) {
        sums[4 * i] += mcg_half(halves[2 * i], 0);
        sums[4 * i + 1] += mcg_half(halves[2 * i + 1], 0);
        sums[4 * i + 2] += mcg_half(halves[2 * i], 1);
        sums[4 * i + 3] += mcg_half(halves[2 * i + 1], 1);
    }
}

static int32_t mcg_pixels_byte(const int8_t *x, int32_t rows, int32_t line, int32_t columns, int32_t pitch)
{
    int32_t sum = 0;
    for (int32_t y = 0; y < rows; y++) {
        for (int32_t i = 0; i < columns; i++) {
            sum += x[y * line + i * pitch];
        }
    }
    return sum;
}

/* Adds up to 255 pixels, in columns at least one. */
static void mcg_pixels_some(const int8_t *x, int32_t rows, int32_t line, int32_t columns, int32_t pitch,
                            int32_t channels, int32_t *sums)
{
    int32_t c = 0;
    for (; c + 4 * MCG_SUMS_WORDS <= channels; c += 4 * MCG_SUMS_WORDS) {
        mcg_pixels_words(x + c, rows, line, columns, pitch, MCG_SUMS_WORDS, sums + c);
    }
    if (c + 8 <= channels) {
        mcg_pixels_words(x + c, rows, line, columns, pitch, 2, sums + c);
        c += 8;
    }
    if (c + 4 <= channels) {
        mcg_pixels_words(x + c, rows, line, columns, pitch, 1, sums + c);
        c += 4;
    }
    for (; c < channels; c++) {
        sums[c] += mcg_pixels_byte(x + c, rows, line, columns, pitch);
    }
}

void mcg_pixels_sums(const int8_t *x, int32_t rows, int32_t line, int32_t columns, int32_t pitch,
                     int32_t channels, int32_t *sums)
{
    if (line == columns * pitch) {
        columns *= rows;
        rows = 1;
    }
    for (int32_t c = 0; c < channels; c++) {
        sums[c] = 0;
    }
    for (int32_t first = 0; first < columns; first += MCG_SUMS_PIXELS) {
        const int32_t count = mcg_min(columns - first, MCG_SUMS_PIXELS);
        const int32_t most = MCG_SUMS_PIXELS / count;
        for (int32_t y = 0; y < rows; y += most) {
            mcg_pixels_some(x + y * line + first * pitch, mcg_min(rows - y, most), line, count, pitch,
                            channels, sums);
        }
    }
}
