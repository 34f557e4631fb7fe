/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depthwise convolutions for cores with the DSP extension: channel by channel, over planes.
 *
 * A plane is a band of rows of one channel, as words of two neighbouring pixels, less the zero point and with
 * zeros beside the map. Four channels are taken apart at a time. docs/kernels.md shows it.
 */
#ifndef MCG_PLANES_H
#define MCG_PLANES_H

#include "mcg_panels.h"

/** Channels at a time; a layer of fewer has no planes. */
#define MCG_PLANE_CHANNELS 4

/** Steps of a kernel row, for all fours of outputs and all tables, from which on rows of outputs are told
 * apart by the kernel rows that they meet the map with. */
#define MCG_PLANE_APART 8

/** How sums are made of planes; a plane begins with an even column, windows with an even one or an odd one.
 */
#define MCG_PLANE_THREE 0 /* 3x3 taps that are neighbours, stride 1 along rows */
#define MCG_PLANE_STRIDED 1
#define MCG_PLANE_THREE_ODD 2
#define MCG_PLANE_STRIDED_ODD 3
#define MCG_PLANE_STEPS 4 /* any taps, pair by pair, stride 1 along rows */
#define MCG_PLANE_STRIDED_STEPS 5
#define MCG_PLANE_FIVE 6 /* rows of 5 or 7 neighbours, from an even column or an odd one */
#define MCG_PLANE_STRIDED_FIVE 7
#define MCG_PLANE_SEVEN 8
#define MCG_PLANE_STRIDED_SEVEN 9

/** How gradients are made of planes: of three taps that are neighbours, from an even pixel on or an odd one;
 * errors are taken four words at a time, or two; or with a stride of 2 along rows. */
#define MCG_PLANE_ODD 1
#define MCG_PLANE_TWO 2
#define MCG_PLANE_WIDE 4

/** A convolution of one channel; rows and columns may be exchanged, as it is faster. */
typedef struct {
    mcg_conv2d_t g;
    int32_t in_row, in_column;   /* bytes from pixel to pixel of the map that is read */
    int32_t out_row, out_column; /* and of the other */
    int32_t out_first;           /* which begins there */
    int32_t tap_row, tap_column; /* and from weight to weight */
    bool turned;                 /* whether rows and columns are exchanged */
    int32_t tap_first;           /* the first weight: of those that are never on the map, none is there */
    int32_t odd;                 /* 1 where windows begin with the second pixel of a word */
    int32_t kind;                /* of its sums */
    int32_t step;                /* number of the first step of a kernel row that meets the map */
    int32_t steps;               /* of a kernel row at most */
} mcg_plane_axes_t;

/** Words of a table for each kernel row. */
static inline MCG_SPARE int32_t mcg_plane_row_words(const mcg_plane_axes_t *a)
{
    const int32_t strided = a->g.k_w / 2 + 2; /* no word serves odd outputs */
    return a->kind < MCG_PLANE_FIVE ? 3 * a->steps : (a->kind & 1) == 0 ? a->g.k_w : strided;
}

/** How sums go on: from row to row of outputs, and from channel to channel. */
typedef struct {
    int32_t skip;          /* bytes of a plane from the end of one row of outputs to the next */
    int32_t pitch;         /* and from row to row */
    int32_t back;          /* bytes of sums beyond a row, which the next one overwrites */
    const uint32_t *last;  /* end of the last row */
    const uint32_t *table; /* end of the steps */
    int32_t over;          /* bytes of a table from what sums begin with to the first step, where any are */
    int32_t on;            /* bytes of planes from behind the last row to the next channel */
    int32_t down;          /* bytes of sums back to its first */
    int32_t size;          /* bytes of a table */
    int32_t plane;         /* bytes of a plane */
    const uint32_t *final; /* where the end of the last row of a channel behind the last would be */
    int32_t rewind;        /* bytes from the end of the steps to what sums begin with */
} mcg_plane_run_t;

/** Rows of pixels on their way into planes. */
typedef struct {
    int32_t plane;        /* bytes from plane to plane */
    uint32_t less;        /* minus the zero point */
    int32_t skip;         /* bytes from the end of a row of the map to the next */
    int32_t beside;       /* and of a plane */
    int32_t pitch;        /* bytes from row to row of a plane */
    const uint32_t *last; /* end of the last row */
    int32_t from;         /* of the map, in bytes, where the first row is */
    int32_t lines;        /* rows that are there */
    uint32_t *to;         /* and in the plane of the first channel */
    const uint32_t *end;  /* end of its whole words; of all rows where nothing is between them */
    bool half;            /* whether a last pixel shares its word with nothing */
} mcg_plane_rows_t;

/** A band of rows of outputs, and where all that belongs to it lies. */
typedef struct {
    int32_t rows;   /* of outputs at a time */
    int32_t top;    /* first row of the map; may be beside it */
    int32_t words;  /* of a row of a plane; zeros before the next row are those behind it, too */
    int32_t lines;  /* rows of a plane */
    int32_t begin;  /* words of a row before the first that is there */
    int32_t there;  /* words whose two pixels are there */
    int32_t tables; /* one after the other: 4, or 1 of any steps where there is no room for more */
    uint32_t *table;
    int32_t *at;   /* where outputs are */
    int32_t *sums; /* [outputs, and up to 3 more][MCG_PLANE_CHANNELS] */
    uint32_t *plane;
    mcg_plane_rows_t pack; /* what mcg_plane_begin found */
    mcg_plane_run_t run;   /* and of sums, what does not change from call to call */
} mcg_plane_band_t;

/** Rows of errors and of inputs on the way through a gradient, and from kernel row to kernel row. */
typedef struct {
    int32_t e_skip, x_skip; /* bytes from the end of a row to the next */
    int32_t pitch;          /* bytes from row to row of errors */
    const uint32_t *last;   /* end of the last row of errors */
    int32_t all;            /* bytes of errors from the end of the first row to there */
    int32_t on;             /* bytes of inputs from the end of one kernel row to the next */
    const int32_t *sums;    /* end of a channel's sums */
    int32_t e_plane;        /* bytes from channel to channel of errors */
    int32_t x_plane;        /* bytes of inputs from behind the last kernel row to the next channel */
    int32_t size;           /* bytes of a channel's sums */
    const uint32_t *final;  /* where the end of the last row of a fifth channel would be */
} mcg_plane_walk_t;

/**
 * @brief Rows and columns as they take the fewest instructions, less taps that are never on the map.
 *
 * @param[in,out] a geometry and pitches; what else is known of it
 * @return whether planes serve: strides along rows are 1 or 2
 */
bool mcg_plane_axes(mcg_plane_axes_t *a);

/** mcg_plane_axes of a forward pass with one output channel for each input channel. */
bool mcg_plane_straight(const mcg_conv2d_t *g, mcg_plane_axes_t *a);

/**
 * @brief As many rows of outputs at a time as there is room for.
 *
 * @param[in]  a     geometry
 * @param[in]  room  bytes
 * @param[in]  from  where they are
 * @param[out] band  what is at a time; the table of addresses is not filled yet
 * @return whether it is enough for one row
 */
bool mcg_plane_band(const mcg_plane_axes_t *a, int32_t room, uint32_t *from, mcg_plane_band_t *band);

/**
 * @brief mcg_plane_band in scratch, or in what a kernel has anyway, if that is more.
 *
 * @param[in]  a       geometry
 * @param[in]  room    bytes of scratch
 * @param[in]  scratch where they are
 * @param[in]  own     other bytes
 * @param[in]  from    where these are; at any address
 * @param[out] band    what is at a time
 * @return whether it is enough for one row
 */
bool mcg_plane_room(const mcg_plane_axes_t *a, int32_t room, uint32_t *scratch, int32_t own, int8_t *from,
                    mcg_plane_band_t *band);

/** Where outputs of some rows are: at[row][column], in bytes. */
void mcg_plane_places(const mcg_plane_axes_t *a, int32_t row, int32_t rows, int32_t *at);

/**
 * @brief A band that begins with a row of the map: zeros in planes, and what is to be known to fill them.
 *
 * @param[in]     a    geometry
 * @param[in,out] band where planes are
 * @param[in]     top  first row of the map; may be beside it
 */
void mcg_plane_begin(const mcg_plane_axes_t *a, mcg_plane_band_t *band, int32_t top);

/**
 * @brief Some rows of four channels as planes; what is beside the map is left as it is.
 *
 * @param[in] x    first channel of the map
 * @param[in] a    geometry
 * @param[in] band as mcg_plane_begin left it
 */
void mcg_plane_pack(const int8_t *x, const mcg_plane_axes_t *a, const mcg_plane_band_t *band);

/**
 * @brief Weights of one channel, as the loops of sums read them.
 *
 * @param[in]  w     first tap
 * @param[in]  a     geometry
 * @param[in]  zero  zero point of the weights
 * @param[in]  start what sums begin with
 * @param[in]  pitch bytes from row to row of a plane
 * @param[out] table four words `start`, then three for each step: two of weights, and the bytes from where an
 * output begins in a plane to where the step does; of 5 or 7 neighbours all words of a kernel row, and these
 * bytes once
 * @return how many words it has
 */
int32_t mcg_plane_table(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero, int32_t start,
                        int32_t pitch, uint32_t *table);

/**
 * @brief Sums of four channels, four outputs of a row at a time.
 *
 * @param[in]     kind  how
 * @param[in]     x     planes
 * @param[in]     table weights of the channels
 * @param[out]    sums  [outputs][MCG_PLANE_CHANNELS]
 * @param[in]     end   of the first row
 * @param[in,out] run   how it goes on
 *
 * Stack: 52 bytes.
 */
void mcg_plane_sums(int32_t kind, const uint32_t *x, const uint32_t *table, int32_t *sums,
                    const uint32_t *end, mcg_plane_run_t *run);

/**
 * @brief Sums of four channels, of a band of outputs, as mcg_plane_begin left it.
 *
 * @param[in]     a     geometry
 * @param[in,out] band  where all lies
 * @param[in]     x     first of the channels
 * @param[in]     w     weights
 * @param[in]     tap   first taps of the four channels in these
 * @param[in]     zero  zero point of the weights
 * @param[in]     start what sums of the four begin with; NULL for 0
 * @param[in]     rows  how many rows of outputs
 */
void mcg_plane_four(const mcg_plane_axes_t *a, mcg_plane_band_t *band, const int8_t *x, const int8_t *w,
                    const int32_t *tap, int32_t zero, const int32_t *start, int32_t rows);

/**
 * @brief Sums of four channels to int8 outputs.
 *
 * @param[in]     sums   [outputs][MCG_PLANE_CHANNELS]
 * @param[in]     at     where outputs are
 * @param[in]     count  outputs of a channel
 * @param[in]     first  number of the first channel
 * @param[in,out] how    factors, bounds, and the largest magnitude so far
 * @param[out]    y      first channel at the first pixel
 */
void mcg_plane_output(const int32_t *sums, const int32_t *at, int32_t count, int32_t first,
                      mcg_panel_output_t *how, int8_t *y);

/** Before the first of a layer's outputs: how->kind is known. */
void mcg_plane_no_output(mcg_panel_output_t *how);

/** The largest magnitude of all outputs. */
int32_t mcg_plane_peak(const mcg_panel_output_t *how);

/**
 * @brief Sums of four channels to errors.
 *
 * @param[in]     sums   [errors][MCG_PLANE_CHANNELS]
 * @param[in]     at     where errors are
 * @param[in]     count  errors of a channel
 * @param[in]     factor factors of the four as SMMULR has them, or NULL: one by one
 * @param[in]     first  number of the first channel
 * @param[in,out] how    factors, bounds, x, errors, and the largest magnitude so far
 */
void mcg_plane_errors(const int32_t *sums, const int32_t *at, int32_t count, const int32_t *factor,
                      int32_t first, mcg_panel_error_t *how);

/** mcg_plane_errors of up to four channels that are no neighbours, of which no sum is larger than `largest`.
 */
void mcg_plane_scatter(const int32_t *sums, const int32_t *at, int32_t count, float largest,
                       const uint16_t *channel, int32_t channels, mcg_panel_error_t *how);

/** mcg_plane_pack of four channels that are no neighbours. */
void mcg_plane_gather(const int8_t *x, const mcg_plane_axes_t *a, const mcg_plane_band_t *band,
                      const uint16_t *channel);

/**
 * @brief sums[channel][ky][i] += products of errors and of what a tap of a kernel row and its next neighbours
 * are multiplied with.
 *
 * @param[in]     kind MCG_PLANE_ODD, MCG_PLANE_TWO and MCG_PLANE_WIDE, or'ed
 * @param[in]     e    plane of errors, words by the four, or by the two
 * @param[in]     x    plane of inputs, from the word that the first tap meets
 * @param[in,out] sums [channels][kernel rows][3]
 * @param[in]     end  of the first row of errors
 * @param[in,out] walk how it goes on
 *
 * Stack: 44 bytes.
 */
void mcg_plane_gradient(int32_t kind, const uint32_t *e, const uint32_t *x, int32_t *sums,
                        const uint32_t *end, mcg_plane_walk_t *walk);

#endif /* MCG_PLANES_H */
