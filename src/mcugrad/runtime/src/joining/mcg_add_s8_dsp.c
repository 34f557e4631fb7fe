/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* What does not change from element to element. */
typedef struct {
    int32_t a, b; /* factors */
    int32_t more; /* what both zero points, the lower bound and rounding add */
    int32_t shift;
} mcg_joint_t;

/* From the lower bound on, of bytes at the same place of two words. */
static inline uint32_t mcg_joint(const mcg_joint_t *k, uint32_t a, uint32_t b, uint32_t which)
{
    return (uint32_t)((mcg_byte(a, which) * k->a + k->more + mcg_byte(b, which) * k->b) >> k->shift);
}

/* Four at a time: sums count from the lower bound on, which is where bytes begin, and two of them share a
 * word, so that the peak is exact, whatever is largest int8. The peak. */
static int32_t mcg_joint_fours(int32_t count, const mcg_joint_t *k, const int8_t *a, const int8_t *b,
                               int32_t low, int32_t y_zero, const int32_t *clip, int8_t *y)
{
    const uint32_t up = (uint32_t)(low + y_zero + 128) * 0x01010101U;
    const uint32_t nothing = mcg_halves(-low, -low);
    uint32_t least = nothing;
    uint32_t most = nothing;
    int32_t highest = 0;
    for (int32_t i = 0; i < count; i += 4) {
        const uint32_t of_a = mcg_load32(a + i);
        const uint32_t of_b = mcg_load32(b + i);
        const uint32_t even = mcg_pkhbt(mcg_joint(k, of_a, of_b, 0), mcg_joint(k, of_a, of_b, 2));
        const uint32_t odd = mcg_pkhbt(mcg_joint(k, of_a, of_b, 1), mcg_joint(k, of_a, of_b, 3));
        least = mcg_select16(least, even, even, least);
        least = mcg_select16(least, odd, odd, least);
        most = mcg_select16(most, even, most, even);
        most = mcg_select16(most, odd, most, odd);
        mcg_store32(y + i, mcg_qadd8((mcg_usat16(even) | mcg_usat16(odd) << 8) ^ 0x80808080U, up));
    }
    for (uint32_t i = 0; i < 2U; i++) {
        highest = mcg_max(highest, mcg_min(mcg_half(most, i) + low, clip[1]));
        highest = mcg_max(highest, -mcg_max(mcg_half(least, i) + low, clip[0]));
    }
    return highest;
}

void mcg_add_s8(int32_t count, int32_t a_zero, int32_t b_zero, int32_t y_zero, const int8_t *a,
                const int8_t *b, const int32_t *factor, const int32_t *clip, int8_t *y, int32_t *peak)
{
    const int32_t shift = factor[2];
    const int32_t half = (int32_t)1 << (shift - 1);
    const int32_t low = mcg_max(clip[0], -128 - y_zero);
    const uint32_t factors = (uint32_t)(mcg_abs(factor[0]) + mcg_abs(factor[1]));
    const uint64_t largest = (uint64_t)256U * factors + ((uint64_t)(uint32_t)-low << shift) + (uint32_t)half;
    /* No bound of int8 but a lower one, and sums that fit into a word before they are shifted, and then into
     * half. */
    const bool fours = clip[0] <= 0 && clip[1] >= 127 - y_zero && low + y_zero < 0 &&
                       (255U * factors) >> shift < 32000U && largest < 0x7fffffffU;
    const int32_t whole = fours ? count & ~3 : 0;
    int32_t highest = 0;
    if (whole != 0) {
        const mcg_joint_t k = {factor[0], factor[1],
                               half - a_zero * factor[0] - b_zero * factor[1] - low * ((int32_t)1 << shift),
                               shift};
        highest = mcg_joint_fours(whole, &k, a, b, low, y_zero, clip, y);
    }
    for (int32_t i = whole; i < count; i++) {
        const int32_t sum = (a[i] - a_zero) * factor[0] + (b[i] - b_zero) * factor[1];
        const int32_t value = mcg_clamp((sum + half) >> shift, clip[0], clip[1]);
        highest = mcg_max(highest, mcg_abs(value));
        y[i] = (int8_t)mcg_clamp(value + y_zero, -128, 127);
    }
    *peak = highest;
}
