/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forward passes of convolutions: what bodies over panels and planes share, and those of layers that do not
 * train, whose sums become outputs while they are in registers. docs/kernels.md shows it.
 */
#ifndef MCG_FORWARD_H
#define MCG_FORWARD_H

#include "mcg_planes.h"

#if MCG_DSP_INSTRUCTIONS
/* clang-format off */
/*
 * Sums of four outputs of a row, in r4 to r7: a kernel row of three, five or seven neighbours. r0 where the first output
 * begins in a plane, r1 words of weights, which it goes through; r8 to r12 and lr are lost, of five and seven also r2
 * and r3. Each instruction of rows of five and seven has 4 bytes.
 */
/* The first kernel row begins where outputs do, others `there`. */
#define MCG_SUMS_THERE "add lr, lr, r0\n\t"
#define MCG_SUMS_THREE(there, base)                                              \
    "ldmia r1!, {r11, r12, lr}\n\t"                                              \
    there "ldmia " base ", {r8, r9, r10}\n\t"                                    \
    "smlad r4, r8, r11, r4\n\t" "smlatb r5, r8, r11, r5\n\t"                     \
    "smlabt r4, r9, r12, r4\n\t" "smlad r5, r9, r12, r5\n\t"                     \
    "smlad r6, r9, r11, r6\n\t" "smlatb r7, r9, r11, r7\n\t"                     \
    "smlabt r6, r10, r12, r6\n\t" "smlad r7, r10, r12, r7\n\t"
#define MCG_SUMS_STRIDED                                                         \
    "ldmia r1!, {r11, r12, lr}\n\t"                                              \
    MCG_SUMS_THERE "ldmia lr!, {r8, r9, r10}\n\t"                                \
    "smlad r4, r8, r11, r4\n\t" "smlabt r4, r9, r12, r4\n\t"                     \
    "smlad r5, r9, r11, r5\n\t" "smlabt r5, r10, r12, r5\n\t"                    \
    "smlad r6, r10, r11, r6\n\t"                                                 \
    "ldmia lr, {r8, r9}\n\t"                                                     \
    "smlabt r6, r8, r12, r6\n\t"                                                 \
    "smlad r7, r8, r11, r7\n\t" "smlabt r7, r9, r12, r7\n\t"
#define MCG_SUMS_THREE_ODD(there, base)                                          \
    "ldmia r1!, {r11, r12, lr}\n\t"                                              \
    there "ldmia " base ", {r8, r9, r10, lr}\n\t"                                \
    "smlatb r4, r8, r11, r4\n\t" "smlad r4, r9, r12, r4\n\t"                     \
    "smlad r5, r9, r11, r5\n\t" "smlabt r5, r10, r12, r5\n\t"                    \
    "smlatb r6, r9, r11, r6\n\t" "smlad r6, r10, r12, r6\n\t"                    \
    "smlad r7, r10, r11, r7\n\t" "smlabt r7, lr, r12, r7\n\t"
#define MCG_SUMS_STRIDED_ODD                                                     \
    "ldmia r1!, {r11, r12, lr}\n\t"                                              \
    MCG_SUMS_THERE "ldmia lr!, {r8, r9, r10}\n\t"                                \
    "smlatb r4, r8, r11, r4\n\t" "smlad r4, r9, r12, r4\n\t"                     \
    "smlatb r5, r9, r11, r5\n\t" "smlad r5, r10, r12, r5\n\t"                    \
    "smlatb r6, r10, r11, r6\n\t"                                                \
    "ldmia lr, {r8, r9}\n\t"                                                     \
    "smlad r6, r8, r12, r6\n\t"                                                  \
    "smlatb r7, r8, r11, r7\n\t" "smlad r7, r9, r12, r7\n\t"
#define MCG_SUMS_FIVE                                                            \
    "ldmia r1!, {r8-r11, lr}\n\t"                                                \
    "add.w lr, lr, r0\n\t"                                                       \
    "ldmia lr, {r2, r3, r12, lr}\n\t"                                            \
    "smlad r4, r2, r8, r4\n\t" "smlatb r5, r2, r8, r5\n\t"                       \
    "smlad r6, r3, r8, r6\n\t" "smlatb r7, r3, r8, r7\n\t"                       \
    "smlad r4, r3, r10, r4\n\t" "smlad r5, r3, r9, r5\n\t"                       \
    "smlad r6, r12, r10, r6\n\t" "smlad r7, r12, r9, r7\n\t"                     \
    "smlabt r4, r12, r11, r4\n\t" "smlad r5, r12, r11, r5\n\t"                   \
    "smlabt r6, lr, r11, r6\n\t" "smlad r7, lr, r11, r7\n\t"
#define MCG_SUMS_SEVEN                                                           \
    "ldmia r1!, {r11, r12, lr}\n\t"                                              \
    "add.w lr, lr, r0\n\t"                                                       \
    "ldmia lr, {r2, r3, r8, r9, r10, lr}\n\t"                                    \
    "smlatb r4, r2, r11, r4\n\t" "smlad r5, r3, r11, r5\n\t"                     \
    "smlatb r6, r3, r11, r6\n\t" "smlad r7, r8, r11, r7\n\t"                     \
    "smlad r4, r3, r12, r4\n\t" "smlad r6, r8, r12, r6\n\t"                      \
    "ldmia r1!, {r11, r12}\n\t"                                                  \
    "smlad r4, r8, r12, r4\n\t" "smlad r5, r8, r11, r5\n\t"                      \
    "smlad r6, r9, r12, r6\n\t" "smlad r7, r9, r11, r7\n\t"                      \
    "ldmia r1!, {r11, r12}\n\t"                                                  \
    "smlad r4, r9, r12, r4\n\t" "smlad r5, r9, r11, r5\n\t"                      \
    "smlabt r5, r10, r12, r5\n\t" "smlad r6, r10, r12, r6\n\t"                   \
    "smlad r7, r10, r11, r7\n\t" "smlabt r7, lr, r12, r7\n\t"
#define MCG_SUMS_STRIDED_FIVE                                                    \
    "ldmia r1!, {r8, r9, r10, lr}\n\t"                                            \
    "add.w lr, lr, r0\n\t"                                                       \
    "ldmia lr, {r2, r3, r11, r12}\n\t"                                           \
    "smlad r4, r2, r8, r4\n\t" "smlad r5, r3, r8, r5\n\t"                        \
    "smlad r6, r11, r8, r6\n\t" "smlad r7, r12, r8, r7\n\t"                      \
    "smlad r4, r3, r9, r4\n\t" "smlad r5, r11, r9, r5\n\t"                       \
    "smlad r6, r12, r9, r6\n\t"                                                  \
    "ldrd r2, r3, [lr, #16]\n\t"                                                 \
    "smlad r4, r11, r10, r4\n\t" "smlad r5, r12, r10, r5\n\t"                    \
    "smlad r6, r2, r10, r6\n\t" "smlad r7, r2, r9, r7\n\t"                       \
    "smlad r7, r3, r10, r7\n\t"
#define MCG_SUMS_STRIDED_SEVEN                                                   \
    "ldmia r1!, {r11, r12, lr}\n\t"                                              \
    "add.w lr, lr, r0\n\t"                                                       \
    "ldmia lr, {r2, r3, r8, r9, r10}\n\t"                                        \
    "smlad r4, r2, r11, r4\n\t" "smlad r5, r3, r11, r5\n\t"                      \
    "smlad r6, r8, r11, r6\n\t" "smlad r7, r9, r11, r7\n\t"                      \
    "smlad r4, r3, r12, r4\n\t" "smlad r5, r8, r12, r5\n\t"                      \
    "smlad r6, r9, r12, r6\n\t" "smlad r7, r10, r12, r7\n\t"                     \
    "ldrd r2, r3, [lr, #20]\n\t"                                                 \
    "ldmia r1!, {r11, r12}\n\t"                                                  \
    "smlad r4, r8, r11, r4\n\t" "smlad r5, r9, r11, r5\n\t"                      \
    "smlad r6, r10, r11, r6\n\t" "smlad r7, r2, r11, r7\n\t"                     \
    "smlad r4, r9, r12, r4\n\t" "smlad r5, r10, r12, r5\n\t"                     \
    "smlad r6, r2, r12, r6\n\t" "smlad r7, r3, r12, r7\n\t"
/* clang-format on */
#endif

/** Words of a table of 3x3 neighbours. */
#define MCG_PLANE_CLOSE 13

#if MCG_HAS_DSP
/** Kernel rows that are on the map, of a window that begins with some row of it; one if there is none. */
static inline MCG_SPARE int32_t mcg_four_from(const mcg_conv2d_t *g, int32_t top)
{
    return mcg_clamp(-top, 0, g->k_h - 1);
}

static inline MCG_SPARE int32_t mcg_four_to(const mcg_conv2d_t *g, int32_t top, int32_t from)
{
    return mcg_clamp(g->in_h - top, from + 1, g->k_h);
}

/** Three neighbouring taps of a kernel row: the words that even and odd outputs share. */
static inline MCG_SPARE void mcg_four_row(const int8_t *w, int32_t column, int32_t zero, int32_t at,
                                          uint32_t *table)
{
    const int32_t middle = w[column] - zero;
    table[0] = mcg_pkhbt((uint32_t)(w[0] - zero), (uint32_t)middle);
    table[1] = mcg_pkhbt((uint32_t)middle, (uint32_t)(w[2 * column] - zero));
    table[2] = (uint32_t)at;
}

/** A table of 3x3 neighbours. */
static inline MCG_SPARE void mcg_four_table(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero,
                                            int32_t start, int32_t down, uint32_t *table)
{
    const int32_t row = a->tap_row;
    const int32_t column = a->tap_column;
    table[0] = (uint32_t)start;
    table[1] = (uint32_t)start;
    table[2] = (uint32_t)start;
    table[3] = (uint32_t)start;
    mcg_four_row(w, column, zero, 0, table + 4);
    mcg_four_row(w + row, column, zero, down, table + 7);
    mcg_four_row(w + 2 * row, column, zero, 2 * down, table + 10);
}
#endif /* MCG_HAS_DSP */

/** Where panels lie, and how many rows of one. */
typedef struct {
    int32_t *sums;
    uint32_t *b; /* panel of four windows */
    uint32_t *a; /* of rows */
    int32_t *start;
    int32_t rows;
} mcg_forward_plan_t;

/** Rows of so many terms for which there is room in so many words. */
static inline MCG_SPARE int32_t mcg_forward_fits(int32_t words, int32_t k)
{
    return ((words - 2 * k) / (k / 2 + 8)) & ~3;
}

/** Where all lies in some words, of so many rows at a time. */
static inline MCG_SPARE mcg_forward_plan_t mcg_forward_plan(uint32_t *words, int32_t rows, int32_t k)
{
    uint32_t *const b = words + 8 * rows;
    const mcg_forward_plan_t plan = {(int32_t *)words, b, b + 2 * k, (int32_t *)words + 4 * rows, rows};
    return plan;
}

/** What sums of some rows begin with: the bias in every column. */
static inline MCG_SPARE void mcg_forward_start(const int32_t *bias, int32_t rows, int32_t *start)
{
    for (int32_t o = 0; o < mcg_up4(rows); o++) {
        const int32_t value = o < rows ? bias[o] : 0;
        for (int32_t i = 0; i < 4; i++) {
            *start++ = value;
        }
    }
}

/** Where four windows are. */
typedef struct {
    const int8_t *at[4];
} mcg_pieces_t;

/** Some bytes, a multiple of 4 above 0, of each of some kernel rows; how far it is from the end of one to the
 * next, on the map and, in bytes, in the panel; minus the zero point, or four of it where panels are bytes.
 */
typedef struct {
    int32_t bytes;
    uint32_t less;
    int32_t rows;
    int32_t skip, over;
} mcg_copy_t;

/** Fraction bits of outputs before they are rounded, where factors are integers: mcg_pointwise_frozen_s8. */
#define MCG_FIXED_BITS 4

/** The zero point of outputs and a half, with these bits. */
static inline MCG_SPARE int32_t mcg_fixed_zero(int32_t zero)
{
    return zero * (1 << MCG_FIXED_BITS) + (1 << (MCG_FIXED_BITS - 1));
}

/** An output, by an integer factor that rounds as the float does. */
static inline MCG_SPARE int8_t mcg_fixed_output(int32_t sum, int32_t mult, int32_t zero)
{
    const int32_t high = (int32_t)(((int64_t)sum * mult) >> 32);
    return (int8_t)mcg_clamp((zero + high) >> MCG_FIXED_BITS, -128, 127);
}

/** The same by the float. */
static inline MCG_SPARE int8_t mcg_float_output(int32_t sum, float scale, int32_t zero)
{
    return (int8_t)mcg_clamp((zero >> MCG_FIXED_BITS) + mcg_nearest((float)sum * scale), -128, 127);
}

/** A run of pairs of rows whose sums become outputs at once. */
typedef struct {
    const int32_t *start; /* what sums begin with, eight of each pair of rows: [row][column] */
    int32_t steps;        /* words of a row of either panel, at least 2 */
    const int32_t *mult;  /* factors of the first pair, and their end */
    int8_t *y;            /* its output at the first of four pixels */
    const uint32_t *end;  /* of the panel of four */
    const uint32_t *b;    /* and where it begins */
    int32_t zero;         /* of the outputs, and a half, with MCG_FIXED_BITS */
    int32_t pitch;        /* bytes from pixel to pixel */
    const int32_t *last;
    const float *scale; /* factors in floats, of the first pair */
} mcg_direct_run_t;

/** Where sums of up to four channels go that become outputs at once, as mcg_plane_direct takes them. */
typedef struct {
    int8_t *y;             /* of the first channel, at the first of the rows */
    const uint32_t *end;   /* nothing to begin with */
    const uint32_t *steps; /* of the first channel: those that count */
    const uint32_t *table; /* and what sums begin with */
    int32_t rows;          /* kernel rows that count */
    float scale;           /* of the first channel */
    int32_t mult;          /* the same as an integer, or 0 */
    int32_t zero;          /* as mcg_fixed_zero gives it */
    int32_t column;        /* bytes of outputs from pixel to pixel of a row */
    int32_t columns;       /* three times that */
    int32_t row;           /* from the end of a row to the next */
    int32_t channel;       /* and from behind the last row to the next channel */
    const int32_t *mults;  /* of all four */
    const float *scales;
    int32_t *sums; /* where C keeps them, and what it has to know: */
    int32_t lines; /* rows of outputs */
    int32_t width;
    int32_t channels;
} mcg_plane_out_t;

#if MCG_HAS_DSP
/** Four neighbours of a column. */
static inline MCG_SPARE void mcg_panel_word(uint32_t word, uint32_t less, uint32_t *panel)
{
#if MCG_HAS_MVE
    (void)less;
    panel[0] = word;
#else
    panel[0] = mcg_sxtab16(less, word);
    panel[4] = mcg_sxtab16_odd(less, word);
#endif
}
#endif /* MCG_HAS_DSP */

/**
 * @brief Some rows of a panel of four from four places of the map.
 *
 * @param[out] panel [rows][bytes / 2][4]
 * @param[in]  from  where the four begin
 * @param[in]  copy  how much, and how it goes on
 */
void mcg_panel_pieces(uint32_t *panel, const mcg_pieces_t *from, const mcg_copy_t *copy);

/**
 * @brief mcg_panel_products whose sums become outputs while they are in registers.
 *
 * @param[in] a   panels of two rows, one after the other: [pair][step][2]
 * @param[in] run what sums begin with, factors, and where outputs are
 *
 * With halves in panels, floats of the core's own, and outputs that have no bounds but those of int8. Stack:
 * 36 bytes.
 */
void mcg_panel_direct(const uint32_t *a, const mcg_direct_run_t *run);

/**
 * @brief mcg_plane_sums whose sums become outputs while they are in registers.
 *
 * @param[in]     kind  how, by neighbours
 * @param[in]     x     planes
 * @param[in]     table weights of the channels
 * @param[in,out] out   where outputs go
 * @param[in]     end   of the first row, a multiple of four outputs
 * @param[in,out] run   how it goes on
 *
 * With floats of the core's own. Stack: 36 bytes.
 */
void mcg_plane_direct(int32_t kind, const uint32_t *x, const uint32_t *table, mcg_plane_out_t *out,
                      const uint32_t *end, mcg_plane_run_t *run);

/**
 * @brief mcg_plane_four whose sums become outputs at once; fours of outputs, of kernel rows of three, five or
 * seven neighbours.
 *
 * @param[in]     a     geometry
 * @param[in,out] band  where all lies
 * @param[in]     x     first of the channels
 * @param[in]     w     weights of the first
 * @param[in]     taps  weights of a channel
 * @param[in]     zero  zero point of the weights
 * @param[in]     start what sums of the four begin with
 * @param[in]     rows  how many rows of outputs
 * @param[in,out] out   y, zero point, pitches and factors
 */
void mcg_plane_frozen(const mcg_plane_axes_t *a, mcg_plane_band_t *band, const int8_t *x, const int8_t *w,
                      int32_t taps, int32_t zero, const int32_t *start, int32_t rows, mcg_plane_out_t *out);

#endif /* MCG_FORWARD_H */
