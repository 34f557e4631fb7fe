/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Products of four elements, less their zero points. */
static inline void mcg_mul_four(uint32_t a, uint32_t a_less, uint32_t b, uint32_t b_less, int32_t *acc)
{
    const uint32_t a_even = mcg_sxtab16(a_less, a);
    const uint32_t a_odd = mcg_sxtab16_odd(a_less, a);
    const uint32_t b_even = mcg_sxtab16(b_less, b);
    const uint32_t b_odd = mcg_sxtab16_odd(b_less, b);
    acc[0] = mcg_half(a_even, 0) * mcg_half(b_even, 0);
    acc[1] = mcg_half(a_odd, 0) * mcg_half(b_odd, 0);
    acc[2] = mcg_half(a_even, 1) * mcg_half(b_even, 1);
    acc[3] = mcg_half(a_odd, 1) * mcg_half(b_odd, 1);
}

/* Products become outputs as the sums of four channels of a pixel do. */
void mcg_mul_s8(int32_t count, int32_t period, int32_t a_zero, int32_t b_zero, int32_t y_zero,
                const int8_t *a, const int8_t *b, const float *scale, const int32_t *clip, int8_t *y,
                int32_t *peak)
{
    const uint32_t a_less = mcg_halves(-a_zero, -a_zero);
    const uint32_t b_less = mcg_halves(-b_zero, -b_zero);
    const int32_t nothing = 0;
    int32_t at[MCG_BLOCK / MCG_PLANE_CHANNELS];
    float factor[MCG_BLOCK];
    int32_t acc[MCG_BLOCK];
    mcg_panel_output_t how = {factor, clip, y_zero, 0, 0, 0, {0, 0}};
    mcg_fill_factor(factor, *scale);
    how.kind = mcg_panel_kind(&nothing, factor, clip, y_zero, 255 * 255, 1);
    mcg_plane_no_output(&how);
    for (int32_t i = 0; i < MCG_BLOCK / MCG_PLANE_CHANNELS; i++) {
        at[i] = MCG_PLANE_CHANNELS * i;
    }
    for (int32_t start = 0; start < count; start += period) {
        for (int32_t first = 0; first < period; first += MCG_BLOCK) {
            const int32_t block = mcg_min(period - first, MCG_BLOCK);
            const int32_t whole = how.kind == 0 ? 0 : block & ~3;
            const int8_t *const of_a = a + start + first;
            int8_t *const to = y + start + first;
            for (int32_t i = 0; i < whole; i += MCG_PLANE_CHANNELS) {
                mcg_mul_four(mcg_load32(of_a + i), a_less, mcg_load32(b + first + i), b_less, acc + i);
            }
            for (int32_t i = whole; i < block; i++) {
                acc[i] = (of_a[i] - a_zero) * (b[first + i] - b_zero);
            }
            if (whole != 0) {
                mcg_plane_output(acc, at, whole / MCG_PLANE_CHANNELS, 0, &how, to);
            }
            if (whole != block) {
                how.highest = mcg_max(
                    how.highest, mcg_output_s8(acc + whole, factor, clip, y_zero, block - whole, to + whole));
            }
        }
    }
    *peak = mcg_plane_peak(&how);
}
