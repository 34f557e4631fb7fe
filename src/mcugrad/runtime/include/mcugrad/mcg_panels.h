/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of matrices for cores with the DSP extension: what every convolution there is made of.
 *
 * A panel holds a few rows of a matrix as halves of 16 bits, two neighbours a word, in the order in which the
 * loop of products reads them. Bytes 0 and 2 of four neighbours share a word, and 1 and 3, as instructions
 * that widen leave them. With Helium a panel holds bytes, four neighbours a word, four words a vector, and
 * zero points are taken off sums. docs/kernels.md shows it.
 */
#ifndef MCG_PANELS_H
#define MCG_PANELS_H

#include "mcg_core.h"

/** Pairs of rows whose sums are computed before anything is done with them. */
#define MCG_PANEL_PAIRS 64

/** Words on the stack that stand in for scratch of a forward pass: panels of so many neighbours and rows, and
 * their sums. */
#define MCG_PANEL_FEW 64
#define MCG_PANEL_PART 12
#define MCG_PANEL_ROWS 4

/** And of an update: of 4 rows and as many pixels; with Helium of a vector of pixels. */
#define MCG_PANEL_UPDATE 60
#define MCG_PANEL_UPDATE_MVE 108

/** Outputs must stay below this for two of them to share a word. */
#define MCG_PANEL_HALF 32500.0F

/** The smallest multiple of 4 that is not below. */
static inline MCG_SPARE int32_t mcg_up4(int32_t value) { return (value + 3) & ~3; }

/** Words of a panel of four columns that four neighbours of each are. */
#define MCG_PANEL_FOUR (MCG_HAS_MVE ? 4 : 8)

/** Terms that a sum must have for panels to take no more than those of halves: bytes fill whole vectors. */
#define MCG_PANEL_LEAST (MCG_HAS_MVE ? 8 : 2)

/** Words of a row in a panel, of so many words of bytes. */
static inline MCG_SPARE int32_t mcg_panel_steps(int32_t words)
{
    return MCG_HAS_MVE ? mcg_up4(words) : 2 * words;
}

/** The same of a row of pixels. */
static inline MCG_SPARE int32_t mcg_panel_pixels(int32_t pixels)
{
    return MCG_HAS_MVE ? mcg_up4((pixels + 3) / 4) : (pixels + 1) / 2;
}

#if MCG_HAS_DSP
/** Four bytes of each of four places, as four words of all places. */
static inline MCG_SPARE void mcg_panel_swapped(const uint32_t place[4], uint32_t *first, uint32_t *second,
                                               uint32_t *third, uint32_t *fourth)
{
    const uint32_t a = mcg_pkhbt(place[0], place[2]);
    const uint32_t b = mcg_pkhbt(place[1], place[3]);
    const uint32_t c = mcg_pkhtb(place[0], place[2]);
    const uint32_t d = mcg_pkhtb(place[1], place[3]);
    *first = mcg_uxtb16(a) | mcg_uxtb16(b) << 8;
    *second = mcg_uxtb16_odd(a) | (b & 0xff00ff00U);
    *third = mcg_uxtb16(c) | mcg_uxtb16(d) << 8;
    *fourth = mcg_uxtb16_odd(c) | (d & 0xff00ff00U);
}
#endif /* MCG_HAS_DSP */

/** What a run of products works on. */
typedef struct {
    const uint32_t *end;  /* of the panel of four */
    const int32_t *start; /* what sums begin with, eight of each pair of rows: [row][column] */
    int32_t *sums;        /* the same eight; may be `start` */
    int32_t *sums_end;
    int32_t steps; /* words of a row of either panel, at least 2; with Helium a multiple of 4 */
} mcg_products_run_t;

/** Windows over a map, or a part of its channels. */
typedef struct {
    const int8_t *map; /* first channel that counts, at pixel (0, 0) */
    int32_t size;      /* bytes from there on that may be read */
    int32_t height, width, pitch, channels;
    int32_t k_h, k_w;
    int32_t step_h, step_w; /* from tap to tap */
    int32_t zero;           /* what counts as 0, and what is beside the map */
} mcg_windows_t;

/** Where four windows begin; beside the map as well. */
typedef struct {
    int32_t top[4];
    int32_t left[4];
} mcg_four_t;

/** What is taken of windows: kernel rows, and words of each, from a byte on. */
typedef struct {
    int32_t first, rows;
    int32_t from, words;
} mcg_part_t;

/** How sums become outputs, and what is known of those so far. */
typedef struct {
    const float *scale;
    const int32_t *clip;
    int32_t zero;
    int32_t pitch;    /* from pixel to pixel */
    int32_t kind;     /* 0: one by one; 1: ReLU with its zero at -128; 2: no bound of int8 but a lower one */
    int32_t highest;  /* magnitude, of what was done one by one */
    uint32_t ends[2]; /* of all else: the smallest of either half of a word, and 0, and the largest */
} mcg_panel_output_t;

/** The lower bound of outputs of kind 2, from their zero point: at most 0, and not below what int8 holds. */
static inline MCG_SPARE int32_t mcg_panel_low(const mcg_panel_output_t *how)
{
    return mcg_max(how->clip[0], -128 - how->zero);
}

#if MCG_HAS_DSP
/** Sums of four bytes without a sign, saturated: UQADD8. */
static inline MCG_SPARE uint32_t mcg_panel_raised(uint32_t a, uint32_t b)
{
    uint32_t sums = 0;
    for (uint32_t i = 0; i < 32U; i += 8U) {
        const uint32_t sum = (a >> i & 255U) + (b >> i & 255U);
        sums |= (sum > 255U ? 255U : sum) << i;
    }
    return sums;
}
#endif /* MCG_HAS_DSP */

/** Rows of weights turned: input channels, whose terms are taps in the order of a window over errors, and
 * output channels. */
typedef struct {
    const int8_t *w;               /* of the first tap */
    const uint16_t *active;        /* output channels that take part; NULL for all */
    int32_t count;                 /* how many */
    int32_t taps;                  /* bytes from output channel to output channel */
    int32_t rows, columns;         /* of the window */
    int32_t row_step, column_step; /* bytes from tap to tap */
    int32_t zero;                  /* zero point of the weights */
} mcg_turned_t;

/** How sums become errors, and what is known of those so far. */
typedef struct {
    const mcg_scale_t *scale;
    const int32_t *clip;
    const int8_t *x;
    int8_t *e;
    int32_t x_zero;
    uint32_t low, high; /* x from one to the other is not flat, in four bytes */
    int32_t kind;       /* 0: one by one; 1: nothing is above `high`; 2: something may be */
    int32_t highest;    /* magnitude, of what was done one by one */
    uint32_t ends[2];   /* of all else, in four bytes: the smallest, and 0, and the largest */
    int32_t pre;        /* bits by which any sum can be shifted; -1 if there may be larger ones */
    bool beyond;        /* whether one of the last that were made together was beyond int8 */
} mcg_panel_error_t;

/** Of one axis: input pixels with the same place between strides, and the taps that reach them. Tap `tap + i
 * * step` of a pixel is at error `at - i * apart`, where `at` grows by 1 from one such pixel to the next. */
typedef struct {
    int32_t first, count; /* pixels, a stride apart */
    int32_t tap, step, taps;
    int32_t at, apart;
} mcg_panel_axis_t;

/** A row of weights on its way through an update: words alone, so that rows can lie in scratch. */
typedef struct {
    int32_t w;          /* where its weights begin */
    int32_t residual;   /* and its residual bits */
    uint32_t counter;   /* of its first random word */
    int32_t factor;     /* as SMMULR has it */
    mcg_scale_t scale;  /* the same */
    int32_t most;       /* sums beyond it are clamped before they are shifted; 0: none is */
    uint32_t saturated; /* 1 once a weight of it has */
} mcg_panel_row_t;

/**
 * @brief sums[r][c] = start[r][c] + the products of row r of A and column c of B, for a run of pairs of rows.
 *
 * @param[in] a   panels of two rows, one after the other: [pair][step][2]
 * @param[in] b   panel of four columns: [step][4]
 * @param[in] run where sums begin and go
 *
 * The loop takes 11 instructions for 16 products, 14 in 8 cycles on a Cortex-M7, and all registers. Stack: 36
 * bytes.
 */
void mcg_panel_products(const uint32_t *a, const uint32_t *b, const mcg_products_run_t *run);

/**
 * @brief Takes the zero point of columns off what sums of rows begin with, where panels are bytes.
 *
 * @param[in]     a      panels of rows
 * @param[in]     rows   how many
 * @param[in]     steps  words of a row
 * @param[in]     zero   zero point of the columns
 * @param[in]     a_zero zero point of the rows
 * @param[in,out] start  [rows, rounded up to 2][4]: less zero * (sum of the row, less its zero point)
 */
void mcg_panel_fold(const uint32_t *a, int32_t rows, int32_t steps, int32_t zero, int32_t a_zero,
                    int32_t *start);

/**
 * @brief Takes the zero point of rows off their sums, where panels are bytes.
 *
 * @param[in]     b      panel of four columns
 * @param[in]     steps  words of a column
 * @param[in]     a_zero zero point of the rows
 * @param[in]     rows   how many
 * @param[in,out] sums   [rows, rounded up to 2][4]: less a_zero * (sum of the column)
 */
void mcg_panel_lower(const uint32_t *b, int32_t steps, int32_t a_zero, int32_t rows, int32_t *sums);

/**
 * @brief With Helium: four bytes each of some places, turned to words of four places each.
 *
 * @param[in]  from  four bytes of the first place
 * @param[in]  pitch bytes from place to place
 * @param[in]  words how many of four places
 * @param[out] panel [words][2] of the first two, or [words][4] of all
 * @param[out] next  [words][2] of the others, or NULL
 */
void mcg_panel_across(const int8_t *from, int32_t pitch, int32_t words, uint32_t *panel, uint32_t *next);

/**
 * @brief Rows of weights as panels of two.
 *
 * @param[in]  w     first row
 * @param[in]  pitch bytes from row to row
 * @param[in]  rows  how many; where they are odd, the last one counts twice
 * @param[in]  run   bytes of a kernel row
 * @param[in]  zero  zero point of the weights
 * @param[in]  part  what is taken; beyond a kernel row there are zeros
 * @param[out] panel [pairs][part->rows * part->words * 2][2]
 */
void mcg_panel_rows(const int8_t *w, int32_t pitch, int32_t rows, int32_t run, int32_t zero,
                    const mcg_part_t *part, uint32_t *panel);

/**
 * @brief Four windows as a panel of four; less the zero point, 0 beside the map.
 *
 * @param[in]  m     map
 * @param[in]  at    where they begin
 * @param[in]  part  what is taken; beyond a kernel row there may be anything
 * @param[out] panel [part->rows * part->words * 2][4]
 */
void mcg_panel_windows(const mcg_windows_t *m, const mcg_four_t *at, const mcg_part_t *part, uint32_t *panel);

/**
 * @brief Sums of some channels and up to four pixels to int8 outputs.
 *
 * @param[in]     sums   [pairs of channels][2][4]
 * @param[in]     first  number of the first channel
 * @param[in]     rows   channels
 * @param[in]     pixels how many of the four
 * @param[in,out] how    factors, bounds, and the largest magnitude so far
 * @param[out]    y      output of the first channel at the first pixel
 */
void mcg_panel_output(const int32_t *sums, int32_t first, int32_t rows, int32_t pixels,
                      mcg_panel_output_t *how, int8_t *y);

/** The same one by one, where `y` is that of the first channel; returns the largest magnitude. */
int32_t mcg_panel_output_each(const int32_t *sums, int32_t first, int32_t rows, int32_t pixels,
                              const mcg_panel_output_t *how, int8_t *y);

/**
 * @brief How outputs can be made: see mcg_panel_output_t.
 *
 * @param[in] bias    what sums begin with
 * @param[in] scale   their factors
 * @param[in] clip    bounds
 * @param[in] zero    zero point of the outputs
 * @param[in] largest magnitude that sums of products can have
 * @param[in] rows    channels
 */
int32_t mcg_panel_kind(const int32_t *bias, const float *scale, const int32_t *clip, int32_t zero,
                       int32_t largest, int32_t rows);

/** The largest magnitude of all outputs. */
int32_t mcg_panel_peak(const mcg_panel_output_t *how);

/**
 * @brief Turned rows of weights as panels of two.
 *
 * @param[in]  t       weights
 * @param[in]  first   first input channel
 * @param[in]  rows    how many
 * @param[in]  part    what is taken of the windows that they are multiplied with; beyond a row of them there
 * are zeros
 * @param[out] panel   [pairs][part->rows * part->words * 2][2]
 */
void mcg_panel_turned(const mcg_turned_t *t, int32_t first, int32_t rows, const mcg_part_t *part,
                      uint32_t *panel);

/**
 * @brief Sums of some channels and up to four pixels to errors.
 *
 * @param[in]     sums   [pairs of channels][2][4]
 * @param[in]     factor factors of four channels and more as SMMULR has them, or NULL: one by one
 * @param[in]     first  number of the first channel
 * @param[in]     rows   channels
 * @param[in]     pixels how many of the four
 * @param[in]     at     where the pixels are, [4]
 * @param[in,out] how    factors, bounds, x, errors, and the largest magnitude so far
 */
void mcg_panel_errors(const int32_t *sums, const int32_t *factor, int32_t first, int32_t rows, int32_t pixels,
                      const int32_t *at, mcg_panel_error_t *how);

/** Input pixels with a place between strides. */
void mcg_panel_axis(int32_t place, int32_t size, int32_t kernel, int32_t stride, int32_t pad,
                    int32_t dilation, mcg_panel_axis_t *a);

/** Factors as SMMULR has them; false where one has to be shifted before, or errors may not fit into half a
 * word. */
bool mcg_panel_factors(const mcg_scale_t *scale, int32_t rows, float largest, int32_t *factor);

/** No error for input pixels of a kind, by their rows and columns, that no tap reaches. */
void mcg_panel_nothing(const mcg_conv2d_t *g, const mcg_panel_axis_t *v, const mcg_panel_axis_t *u,
                       int8_t *e_x);

/** Which x are not flat, by clip and x_zero, and how errors can be made. */
void mcg_panel_error_bounds(mcg_panel_error_t *how);

/** The largest magnitude of all errors. */
int32_t mcg_panel_error_peak(const mcg_panel_error_t *how);

/** The same one by one; returns the largest magnitude. */
int32_t mcg_panel_errors_each(const int32_t *sums, int32_t first, int32_t rows, int32_t pixels,
                              const int32_t *at, const mcg_panel_error_t *how);

/**
 * @brief The error of a convolution's input over panels; mcg_conv2d_grad_input_s8 says what it computes.
 *
 * Input pixels with the same place between strides have the same taps: of each such kind it is a convolution
 * of errors with turned weights. Scratch: as mcg_panel_forward_s8 has it, and a word for each row; K is that
 * of the kind that has most taps.
 *
 * @return false where there is no room for four rows, and nothing was written
 */
bool mcg_panel_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                             const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                             const int32_t *clip, int8_t *e_x, int32_t *peak, int32_t room,
                             uint32_t *scratch);

/**
 * @brief A convolution's forward pass over panels; mcg_conv2d_s8 says what it computes.
 *
 * Scratch: what all rows need, or any multiple of 4 of them: 4 (2 K + rows (K / 2 + 8)) bytes,
 * where K is k_h times the bytes of a kernel row in whole words; with less, panels are on the stack, in 4
 * MCG_PANEL_FEW bytes, in parts. Stack: 0.7 KiB with all that it calls.
 */
void mcg_panel_forward_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                          const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                          int32_t *peak, int32_t room, uint32_t *scratch);

/**
 * @brief Errors of some channels as panels of two rows: two neighbouring pixels a word.
 *
 * @param[in]  e      first channel at the first pixel
 * @param[in]  pitch  bytes from pixel to pixel
 * @param[in]  rows   channels
 * @param[in]  pixels how many; behind an odd number there is 0
 * @param[out] panel  [pairs][pixels / 2, rounded up][2]
 */
void mcg_panel_channels(const int8_t *e, int32_t pitch, int32_t rows, int32_t pixels, uint32_t *panel);

/**
 * @brief What four weights of a row are multiplied with at some pixels, as a panel of four columns.
 *
 * @param[in]  g      geometry
 * @param[in]  x      input
 * @param[in]  k      first of the four weights, a multiple of 4; of those behind the last there may be
 * anything
 * @param[in]  pixel  first output pixel
 * @param[in]  pixels how many; behind an odd number there is 0
 * @param[out] panel  [pixels / 2, rounded up][4]
 */
void mcg_panel_taps(const mcg_conv2d_t *g, const int8_t *x, int32_t k, int32_t pixel, int32_t pixels,
                    uint32_t *panel);

/**
 * @brief Updates up to four weights of each of some rows from the sums of their gradients.
 *
 * @param[in]     sums  [rows][4]
 * @param[in]     rows  how many
 * @param[in]     k     first of the weights, a multiple of 4
 * @param[in]     count how many
 * @param[in]     rule  how weights are stored and updated
 * @param[in,out] w     weights of all rows
 * @param[in,out] residual residual bits of all rows, or NULL
 * @param[in,out] row   rows
 */
void mcg_panel_step(const int32_t *sums, int32_t rows, int32_t k, int32_t count, const mcg_rule_t *rule,
                    int8_t *w, uint8_t *residual, mcg_panel_row_t *row);

/**
 * @brief What is known of some rows before their update.
 *
 * @param[in]  rows    how many
 * @param[in]  active  channels that take part; NULL for all
 * @param[in]  first   place of the first row among these
 * @param[in]  weights of a row
 * @param[in]  pixels  of a gradient
 * @param[in]  factor  gradient to 1/65536 weight steps
 * @param[in]  rule    how weights are stored and updated
 * @param[in]  stream  of random numbers
 * @param[out] row     [rows]
 */
void mcg_panel_begin(int32_t rows, const uint16_t *active, int32_t first, int32_t weights, int32_t pixels,
                     const mcg_scale_t *factor, const mcg_rule_t *rule, uint32_t stream,
                     mcg_panel_row_t *row);

/** Rows of which a weight saturated get more range. Arguments as mcg_panel_begin has them. */
void mcg_panel_end(int32_t rows, const uint16_t *active, int32_t first, int32_t weights,
                   const mcg_rule_t *rule, const mcg_panel_row_t *row, int8_t *w, uint8_t *residual,
                   float *w_scale);

/**
 * @brief With Helium: the same of four weights by sr8.
 *
 * @param[in]     sums [rows][4]
 * @param[in]     row  rows
 * @param[in]     rows how many
 * @param[in]     more is added to their counters
 * @param[in,out] w    weights of all rows, from the first that is updated on
 * @return of how many rows, a multiple of 4: at most up to one that is to be looked at by itself
 */
int32_t mcg_panel_step_sr8(const int32_t *sums, const mcg_panel_row_t *row, int32_t rows, uint32_t more,
                           int8_t *w);

/**
 * @brief The update of a convolution's weights over panels; mcg_conv2d_update says what it computes.
 *
 * Gradients exist for four weights of some rows at a time, where errors of all pixels are in panels; else of
 * all weights of these rows. Stack: 0.9 KiB with all that it calls, MCG_PANEL_UPDATE words
 * for what there is less scratch for. Scratch: see panels_update.py.
 */
void mcg_panel_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                      const mcg_scale_t *factor, const mcg_rule_t *rule, uint32_t stream, int8_t *w,
                      uint8_t *residual, float *w_scale, int32_t room, uint32_t *scratch);

#endif /* MCG_PANELS_H */
