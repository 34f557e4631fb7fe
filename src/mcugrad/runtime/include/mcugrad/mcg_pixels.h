/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels two by two as words of panels, and their sums, by the DSP extension. */
#ifndef MCG_PIXELS_H
#define MCG_PIXELS_H

#include "mcg_panels.h"

#if MCG_HAS_DSP
/** Words of two pixels, four channels each, as four words of both. */
static inline MCG_SPARE void mcg_pixels_two(uint32_t a, uint32_t b, uint32_t less, uint32_t *panel)
{
    const uint32_t low = mcg_pkhbt(a, b);
    const uint32_t high = mcg_pkhtb(a, b);
    panel[0] = mcg_sxtab16(less, low);
    panel[1] = mcg_sxtab16_odd(less, low);
    panel[2] = mcg_sxtab16(less, high);
    panel[3] = mcg_sxtab16_odd(less, high);
}

/**
 * @brief Words of pixels that are a step apart, pair by pair as mcg_pixels_two puts them together.
 *
 * @param[out] panel [pairs][4]
 * @param[in]  x     first word
 * @param[in]  step  bytes from pixel to pixel
 * @param[in]  pairs how many, at least one
 * @param[in]  less  minus the zero point, twice
 */
void mcg_pixels_pairs(uint32_t *panel, const int8_t *x, int32_t step, int32_t pairs, uint32_t less);

/**
 * @brief Sums of all pixels of a rectangle, channel by channel.
 *
 * @param[in]  x        first channel of the first pixel
 * @param[in]  rows     of pixels
 * @param[in]  line     bytes from row to row
 * @param[in]  columns  pixels of a row
 * @param[in]  pitch    bytes from pixel to pixel
 * @param[in]  channels how many, side by side
 * @param[out] sums     [channels]
 */
void mcg_pixels_sums(const int8_t *x, int32_t rows, int32_t line, int32_t columns, int32_t pitch,
                     int32_t channels, int32_t *sums);
#endif /* MCG_HAS_DSP */

#if MCG_HAS_DSP
/** Four bytes of a line of `size`, 4 or more, from one on; `none` in the place of those before and behind it.
 */
static inline uint32_t mcg_pixels_word(const int8_t *line, int32_t size, int32_t from, uint32_t none)
{
    const int32_t near = mcg_clamp(from, 0, size - 4);
    const uint32_t off = 8U * (uint32_t)mcg_abs(from - near);
    const uint32_t word = mcg_load32(line + near);
    if (off == 0U) {
        return word;
    }
    if (off >= 32U) {
        return none;
    }
    return from < near ? word << off | none >> (32U - off) : word >> off | none << (32U - off);
}

/** So many pairs of pixels of four columns of a panel that are beside the map. */
static inline uint32_t *mcg_pixels_nothing(uint32_t *panel, int32_t pairs)
{
    for (; pairs > 0; pairs--) {
        panel[0] = 0;
        panel[1] = 0;
        panel[2] = 0;
        panel[3] = 0;
        panel += 4;
    }
    return panel;
}
#endif

#endif /* MCG_PIXELS_H */
