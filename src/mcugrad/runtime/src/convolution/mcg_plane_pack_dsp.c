/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Four channels of two neighbouring pixels: a word of each plane. */
static inline void mcg_pack_two(uint32_t a, uint32_t b, uint32_t less, uint32_t *to, int32_t plane)
{
    const uint32_t low = mcg_pkhbt(a, b);
    const uint32_t high = mcg_pkhtb(a, b);
    to[0] = mcg_sxtab16(less, low);
    to[plane] = mcg_sxtab16_odd(less, low);
    to[2 * plane] = mcg_sxtab16(less, high);
    to[3 * plane] = mcg_sxtab16_odd(less, high);
}

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/* r0 pixels; r1 bytes from one to the next; r2 the first plane; r3 end of its row; r4 bytes from plane to plane, r5
 * three times that, r12 minus the zero point, lr how it goes on. */
#define MCG_PACK_OPEN                                                            \
    "push {r4-r11, lr}\n\t"                                                      \
    "ldr lr, [sp, #36]\n\t"                                                      \
    "ldrd r4, r12, [lr], #8\n\t"                                                 \
    "add r5, r4, r4, lsl #1\n\t"                                                 \
    "add r11, r1, r1, lsl #1\n\t"                                                \
    "1:\n\t"
/* Two pixels are in r6 and r7. */
#define MCG_PACK_WORD                                                            \
    "pkhbt r8, r6, r7, lsl #16\n\t"                                              \
    "pkhtb r7, r7, r6, asr #16\n\t"                                              \
    "sxtab16 r9, r12, r8, ror #8\n\t"                                            \
    "sxtab16 r10, r12, r7\n\t"                                                   \
    "sxtab16 r7, r12, r7, ror #8\n\t"                                            \
    "sxtab16 r8, r12, r8\n\t"                                                    \
    "str r9, [r2, r4]\n\t"                                                       \
    "str r10, [r2, r4, lsl #1]\n\t"                                              \
    "str r7, [r2, r5]\n\t"                                                       \
    "str r8, [r2], #4\n\t"
#define MCG_PACK_CLOSE                                                           \
    "cmp r2, r3\n\t"                                                             \
    "bne 1b\n\t"                                                                 \
    "ldm lr, {r6-r9}\n\t"                                                        \
    "cmp r3, r9\n\t"                                                             \
    "add r0, r0, r6\n\t"                                                         \
    "add r2, r2, r7\n\t"                                                         \
    "add r3, r3, r8\n\t"                                                         \
    "bne 1b\n\t"                                                                 \
    "pop {r4-r11, pc}\n\t"
#define MCG_PACK_FUNCTION(name)                                                  \
    MCG_NAKED static void name(MCG_SPARE const int8_t *from, MCG_SPARE int32_t step, \
                               MCG_SPARE uint32_t *to, MCG_SPARE const uint32_t *end, \
                               MCG_SPARE const mcg_plane_rows_t *rows)

MCG_PACK_FUNCTION(mcg_pack_single)
{
    __asm__ volatile(
        MCG_PACK_OPEN
        "ldr r6, [r0]\n\t" "ldr r7, [r0, r1]\n\t"
        "add r0, r0, r1, lsl #1\n\t"
        MCG_PACK_WORD
        MCG_PACK_CLOSE);
}

MCG_PACK_FUNCTION(mcg_pack_twos)
{
    __asm__ volatile(
        MCG_PACK_OPEN
        "ldr r6, [r0]\n\t" "ldr r7, [r0, r1]\n\t"
        MCG_PACK_WORD
        "ldr r6, [r0, r1, lsl #1]\n\t" "ldr r7, [r0, r11]\n\t"
        "add r0, r0, r1, lsl #2\n\t"
        MCG_PACK_WORD
        MCG_PACK_CLOSE);
}
/* clang-format on */

/* Words of a row two by two, where their number is even. */
static void mcg_pack_rows(const int8_t *from, int32_t step, uint32_t *to, const uint32_t *end,
                          const mcg_plane_rows_t *rows)
{
    if (((end - to) & 1) != 0) {
        mcg_pack_single(from, step, to, end, rows);
    } else {
        mcg_pack_twos(from, step, to, end, rows);
    }
}
#else
static void mcg_pack_rows(const int8_t *from, int32_t step, uint32_t *to, const uint32_t *end,
                          const mcg_plane_rows_t *rows)
{
    for (;;) {
        for (; to != end; to++) {
            mcg_pack_two(mcg_load32(from), mcg_load32(from + step), rows->less, to, rows->plane / 4);
            from += 2 * step;
        }
        if (end == rows->last) {
            return;
        }
        from += rows->skip;
        to += rows->beside / 4;
        end += rows->pitch / 4;
    }
}
#endif

void mcg_plane_pack(const int8_t *x, const mcg_plane_axes_t *a, const mcg_plane_band_t *band)
{
    const mcg_plane_rows_t *const rows = &band->pack;
    uint32_t *to = rows->to;
    if (rows->lines <= 0) {
        return;
    }
    x += rows->from;
    if (band->there != 0) {
        mcg_pack_rows(x, a->in_column, to, rows->end, rows);
    }
    if (rows->half) {
        const uint32_t nothing = ((uint32_t)a->g.x_zero & 0xffU) * 0x01010101U;
        to += band->there;
        x += 2 * band->there * a->in_column;
        for (int32_t i = 0; i < rows->lines; i++) {
            mcg_pack_two(mcg_load32(x), nothing, rows->less, to, rows->plane / 4);
            to += band->words;
            x += a->in_row;
        }
    }
}
