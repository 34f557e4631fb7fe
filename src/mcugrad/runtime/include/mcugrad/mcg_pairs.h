/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of matrices for Armv6-M: two products of int8 by one MULS.
 *
 * A word of a row is w1 + w0 * 2^16, one of a column x0 + x1 * 2^16, both as sums of numbers with signs.
 * Their product holds w0 x0 + w1 x1 in its upper half, less 1 where w1 x0 below it is negative: what is
 * shifted out last says so. It is exact while the sum of both stays below 2^15: of bytes, if those of one
 * side are never -128. Zero points are left to sums. docs/kernels.md shows it.
 */
#ifndef MCG_PAIRS_H
#define MCG_PAIRS_H

#include "mcg_panels.h"

/** Fours of weights that change together. */
#define MCG_PAIR_FOURS 3

/** Defined by tests: pairs wherever they fit, whether that pays or not. */
#ifdef MCG_PAIRS_ALWAYS
#define MCG_PAIR_ALWAYS 1
#else
#define MCG_PAIR_ALWAYS 0
#endif

/** Pixels of a map with less of which pairs never pay, where a window is a pixel, and where it is more. */
#define MCG_PAIR_PIXELS 4
#define MCG_PAIR_WINDOWS 10

/** Products of a pass with less of which looking for what pays takes too long. */
#define MCG_PAIR_SMALL 512

/** Words of a row that lines of pixels should have at least, where not all are in panels. */
#define MCG_PAIR_BAND 32

/** Errors that are looked at to know how many are 0. */
#define MCG_PAIR_SAMPLES 32

/** What is known of a row: what its sums begin with, and how they are rescaled. */
typedef struct {
    int32_t start;
    int32_t mult;  /* of the factor */
    int32_t round; /* what is added before the shift */
    int32_t shift;
} mcg_pair_row_t;

/** What a run of products works on. */
typedef struct {
    const mcg_pair_row_t *start; /* rows */
    int32_t *sums;               /* four of each row */
    int32_t *sums_end;
    int32_t steps; /* words of a row, at least 1 */
} mcg_pair_run_t;

/** Bytes in a row: terms of taps, some of which may be beside the map. */
typedef struct {
    const int8_t *at;       /* first term of the first tap */
    const uint16_t *active; /* terms that are there, NULL for all */
    int32_t terms, term;    /* of a tap, and bytes from term to term */
    int32_t taps, tap;      /* and bytes from tap to tap */
    int32_t low, high;      /* taps that are there; of others all terms are `fill` */
    int32_t fill;
    int32_t half; /* 0: as they are; 1, 2: one of two parts that each byte is the sum of */
} mcg_pair_line_t;

/** Rows of weights, a line for each kernel row. */
typedef struct {
    mcg_pair_line_t line; /* of the first kernel row of the first row */
    int32_t row;          /* bytes from row to row */
    int32_t lines, next;  /* kernel rows, and bytes from one to the next */
    int32_t halves;       /* 2: weights may be -128, so each row is there as two that add up to it */
} mcg_pair_rows_t;

/** Where panels and sums lie, and how much of them at a time. */
typedef struct {
    mcg_pair_row_t *row; /* [rows] */
    int32_t *sums;       /* [fours][rows][4] */
    uint32_t *b;         /* panel of four columns: [steps][4] */
    uint32_t *a;         /* rows: [rows][steps] */
    int32_t rows;
    int32_t blocks; /* of so many rows each, the last of what is left */
    int32_t fours;  /* of columns whose sums exist together */
} mcg_pair_plan_t;

/** How sums become outputs, and what is known of those so far: words alone, as assembler has them. */
typedef struct {
    const int32_t *sums; /* of the next row */
    const mcg_pair_row_t *row;
    int8_t *y; /* its output at the first pixel */
    const int32_t *end;
    int32_t pitch; /* from pixel to pixel */
    int32_t zero;  /* zero point */
    int32_t least; /* sums below it give the zero point: ReLU */
    int32_t range; /* from the smallest output to the largest */
    int32_t less;  /* minus the smallest one */
    int32_t bytes; /* of the sums of all pixels, 16 at most */
} mcg_pair_outputs_t;

/** The same of errors. */
typedef struct {
    const int32_t *sums;
    const mcg_pair_row_t *row;
    const int8_t *x; /* of the row's channel */
    const int32_t *end;
    int8_t *e;
    int32_t low;       /* x is not flat from here on */
    uint32_t range;    /* for so many values */
    int32_t square;    /* of the largest magnitude */
    const int32_t *at; /* where pixels are */
    int32_t bytes;
} mcg_pair_errors_t;

/** What all outputs of a layer share, and the largest magnitude so far. */
typedef struct {
    const float *scale;
    const int32_t *clip;
    int32_t zero;
    int32_t pitch;
    int32_t highest;
    int32_t largest; /* sums, without their bias */
} mcg_pair_output_t;

/** What all errors of a layer share, and the largest magnitude so far. */
typedef struct {
    const mcg_scale_t *scale;
    const int32_t *clip;
    const int8_t *x;
    int8_t *e;
    int32_t x_zero;
    int32_t highest;
} mcg_pair_error_t;

/** Fours of weights that lie side by side, and what changes them. */
typedef struct {
    const int32_t *value; /* of each weight; times `factor`, 2^-shift, half up: its change in 1/65536 */
    int8_t *w;
    uint8_t *residual; /* of the first weight */
    uint32_t counter;  /* of its random word */
    int32_t factor;    /* no product with a value is beyond 32 bits */
    int32_t shift;     /* 1 to 32 */
    int8_t *end;       /* of the weights */
} mcg_pair_change_t;

/**
 * @brief sums[r][c] = start[r] + the products of row r and column c, four columns.
 *
 * @param[in] a   rows, one after the other: [row][step]
 * @param[in] b   panel of four columns: [step][4]
 * @param[in] run where sums begin and go
 *
 * The loop takes 16 instructions for 8 products. Stack: 48 bytes.
 */
void mcg_pair_products(const uint32_t *a, const uint32_t *b, const mcg_pair_run_t *run);

/**
 * @brief A line as words.
 *
 * @param[in]  line  terms; behind an odd number of them there is 0
 * @param[in]  pitch words from word to word: 1 for a row, else for a column
 * @param[out] to    words
 * @return the sum of these terms, of a row
 *
 * Of a run of neighbours a word takes 9 instructions. Stack: 200 bytes.
 */
int32_t mcg_pair_line(const mcg_pair_line_t *line, int32_t pitch, uint32_t *to);

/** Where panels of so many steps and rows lie in scratch, and sums of so many fours of columns; whether at
 * least one row fits. */
bool mcg_pair_plan(int32_t steps, int32_t rows, int32_t fours, int32_t room, uint32_t *scratch,
                   mcg_pair_plan_t *plan);

/** What packing a column begins with: lines, of taps so far apart. Taps that are no neighbours are taken one
 * by one, and those of an odd number of terms meet within words. */
static inline int32_t mcg_pair_runs(int32_t lines, int32_t taps, int32_t terms, int32_t apart)
{
    const int32_t runs = apart == 1 ? lines : lines * taps;
    return taps > 1 && terms > 1 && terms % 2 != 0 ? (3 * runs + 1) / 2 : runs;
}

/**
 * @brief Instructions of pairs, about: columns are packed for each block, rows once, and each sum becomes
 * something.
 *
 * @param[in] plan  blocks
 * @param[in] rows  how many, each of so many lines
 * @param[in] lines of a row
 * @param[in] runs  of a column: mcg_pair_runs
 * @param[in] words of either
 * @param[in] fours of columns
 *
 * Bodies compare it with what the portable ones take, about, and leave to these what takes less there. It was
 * fitted to counts; of 3,300 calls of 110 shapes ten take 1.05 to 1.1 times what the other body does.
 */
static inline uint32_t mcg_pair_cost(const mcg_pair_plan_t *plan, int32_t rows, int32_t lines, int32_t runs,
                                     int32_t words, int32_t fours)
{
    const int32_t columns = plan->blocks * (900 * runs + 36 * words + 420) + rows * (16 * words + 210);
    return (uint32_t)fours * (uint32_t)columns + (uint32_t)(rows * (100 * lines + 18 * words));
}

/** Whether there is too little to do for pairs: so many pixels, and products at each. */
static inline bool mcg_pair_small(int32_t pixels, int32_t products)
{
    return pixels * products < (MCG_PAIR_ALWAYS ? 1 : MCG_PAIR_SMALL) ||
           (!MCG_PAIR_ALWAYS && pixels < MCG_PAIR_PIXELS);
}

/** Whether every window is a pixel. */
static inline bool mcg_pair_flat(const mcg_conv2d_t *g)
{
    return g->in_h == g->out_h && g->in_w == g->out_w && g->k_h * g->k_w == 1;
}

/** Whether pairs take less than something else. */
static inline bool mcg_pair_less(uint32_t pairs, uint32_t other) { return MCG_PAIR_ALWAYS || pairs < other; }

/** How many of MCG_PAIR_SAMPLES errors are not 0, of which each is as far from the one before. */
static inline uint32_t mcg_pair_there(const int8_t *e, int32_t count)
{
    const int32_t step = (int32_t)((uint32_t)count / MCG_PAIR_SAMPLES) | 1;
    uint32_t there = 0;
    int32_t at = 0;
    for (int32_t i = 0; i < MCG_PAIR_SAMPLES; i++) {
        there += e[at] != 0;
        at += step;
        at -= at < count ? 0 : count;
    }
    return there;
}

/** Packs a row of weights, and returns their sum. */
int32_t mcg_pair_rows(const mcg_pair_rows_t *w, int32_t row, uint32_t *to);

/**
 * @brief Sums of some rows at four windows.
 *
 * @param[in] m     map
 * @param[in] at    windows
 * @param[in] w     rows of weights
 * @param[in] first first row
 * @param[in] rows  how many
 * @param[in] plan  panels, what sums begin with, and sums
 */
void mcg_pair_sums(const mcg_windows_t *m, const mcg_four_t *at, const mcg_pair_rows_t *w, int32_t rows,
                   const mcg_pair_plan_t *plan);

/**
 * @brief Rows of sums to outputs, as far as that is simple: up to the first row in which it is not.
 *
 * @param[in,out] c sums, where outputs go, and what is known of them
 * @return which pixels of the row before c->sums are left to whoever calls: 1 is the last one
 *
 * An output takes 25 instructions, 9 where a ReLU makes it 0.
 */
int32_t mcg_pair_outputs(mcg_pair_outputs_t *c);

/** The same of errors. */
int32_t mcg_pair_rescaled(mcg_pair_errors_t *c);

/** How a row of sums is rescaled: see mcg_pair_row_t. */
void mcg_pair_factor(float factor, int32_t largest, mcg_pair_row_t *row);

/**
 * @brief Sums of some channels at up to four pixels to outputs.
 *
 * @param[in]     sums   [rows][4]
 * @param[in]     row    of each
 * @param[in]     first  number of the first channel
 * @param[in]     rows   channels
 * @param[in]     pixels how many of the four
 * @param[in,out] how    factors, bounds, and the largest magnitude so far
 * @param[out]    y      output of the first channel at the first pixel
 */
void mcg_pair_output(const int32_t *sums, const mcg_pair_row_t *row, int32_t first, int32_t rows,
                     int32_t pixels, mcg_pair_output_t *how, int8_t *y);

/**
 * @brief Sums of some channels at up to four pixels to errors.
 *
 * @param[in]     sums   [rows][4]
 * @param[in]     row    of each
 * @param[in]     first  number of the first channel
 * @param[in]     rows   channels
 * @param[in]     pixels how many of the four
 * @param[in]     at     where the pixels are, [4]
 * @param[in,out] how    factors, bounds, x, errors, and the largest magnitude so far
 */
void mcg_pair_errors(const int32_t *sums, const mcg_pair_row_t *row, int32_t first, int32_t rows,
                     int32_t pixels, const int32_t *at, mcg_pair_error_t *how);

/**
 * @brief A convolution's forward pass by products in pairs; mcg_conv2d_s8 says what it computes.
 *
 * Stack: 1.1 KiB with all that it calls. Scratch: 4 (4 K + rows (K + 8)) bytes, where K is k_h times the
 * pairs of a kernel row, for any number of rows.
 *
 * @return false where the portable body takes less, and nothing was written
 */
bool mcg_pair_forward_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                         const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                         int32_t *peak, int32_t room, uint32_t *scratch);

/**
 * @brief The error of a convolution's input by products in pairs; mcg_conv2d_grad_input_s8 says what it
 * computes.
 *
 * As mcg_panel_grad_input_s8 has it, a convolution of errors for each kind of input pixels. Stack: 1.1 KiB
 * with all that it calls. Scratch: as mcg_pair_forward_s8 has it; K is that of the kind that has most taps.
 *
 * @return false where the portable body takes less, and nothing was written
 */
bool mcg_pair_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                            const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                            const int32_t *clip, int8_t *e_x, int32_t *peak, int32_t room, uint32_t *scratch);

/** Whether mcg_pair_step knows a rule. */
static inline MCG_SPARE bool mcg_pair_knows(const mcg_rule_t *rule)
{
    return rule->residual_bits == 4 || rule->residual_bits == 8 || (rule->residual_bits == 0 && rule->random);
}

/**
 * @brief Changes weights by a rule that it knows.
 *
 * @param[in] c    weights, at least four, and what changes them
 * @param[in] rule how they are stored
 * @return whether one has left its range, of which it has the end
 *
 * A weight takes 19 instructions by sr8, 29 by sr12, 20 by sr16. Stack: 44 bytes.
 */
bool mcg_pair_step(const mcg_pair_change_t *c, const mcg_rule_t *rule);

/**
 * @brief The update of a convolution's weights by products in pairs; mcg_conv2d_update says what it computes.
 *
 * Gradients exist for twelve weights of some rows at a time. Stack: 1.1 KiB with all that it calls. Scratch:
 * as mcg_pair_forward_s8 has it, and 8 words for each row; K is the pairs of all pixels, in lines of the
 * output that are even. With less, K is the pairs of some lines, and sums of all weights of these rows exist.
 *
 * @return false where the portable body takes less, and nothing was written
 */
bool mcg_pair_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                     const mcg_scale_t *factor, const mcg_rule_t *rule, uint32_t stream, int8_t *w,
                     uint8_t *residual, float *w_scale, int32_t room, uint32_t *scratch);

/** What pairs leave calls to, the portable bodies: mcg_conv2d_s8 of any shape and without scratch. */
void mcg_conv2d_any_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                       const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                       int16_t *patch);

/** mcg_conv2d_grad_input_s8 of any shape and without scratch. */
void mcg_conv2d_any_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                  const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                  const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak);

/** mcg_conv2d_update of any shape and without scratch. */
void mcg_conv2d_any_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                           const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                           const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                           float *w_scale, int32_t *gradient, int16_t *patch);

/** mcg_pointwise_s8 of any shape and without scratch. */
void mcg_pointwise_any_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                          const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                          int32_t *peak);

/** mcg_pointwise_update of any shape and without scratch. */
void mcg_pointwise_any_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                              const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                              const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w,
                              uint8_t *residual, float *w_scale, int32_t *gradient);

#endif /* MCG_PAIRS_H */
