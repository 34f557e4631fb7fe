/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows of a convolution for bodies that end in _avx2: the rows of a map that one row of outputs reads are
 * widened once, with zeros beside the map, and windows are read where they lie. A window is then as many runs
 * as the kernel has rows, of k_w * in_c neighbours each.
 */
#ifndef MCG_BANDS_H
#define MCG_BANDS_H

#include "mcg_avx2.h"

/** Halves of all rows, and rows, that are widened at a time; with more, kernels go another way. */
#define MCG_BAND_HALVES 16384
#define MCG_BAND_ROWS 16

/** Pixels of a tile of sums: with 16 channels that is eight vectors. */
#define MCG_TILE 4

/** Words of packed weights: pairs of taps, or of channels, in vectors of 16 channels. */
#define MCG_PACKED 16384

/** Fewer pixels do not pay for packing. */
#define MCG_LANES_PIXELS 4

#if MCG_HAS_AVX2

/** The rows that one row of outputs reads. */
typedef struct {
    int32_t run;   /* neighbours of a window's row */
    int32_t pitch; /* from row to row */
    int32_t step;  /* from window to window */
    int16_t halves[MCG_BAND_HALVES];
} mcg_band_t;

/** Halves from row to row: what is read beyond the last window belongs to no other row. */
static inline int32_t mcg_band_pitch(const mcg_conv2d_t *g)
{
    return ((g->out_w - 1) * g->stride_w + g->k_w) * g->in_c + MCG_LANES_16;
}

/** Whether windows are runs, and bands have room for them. */
static inline bool mcg_band_fits(const mcg_conv2d_t *g)
{
    return (g->dilation_w == 1 || g->k_w == 1) && g->k_h <= MCG_BAND_ROWS &&
           mcg_band_pitch(g) <= MCG_BAND_HALVES / g->k_h;
}

/** Bytes less a zero point, as halves. */
static inline void mcg_widen_run(const int8_t *x, int32_t zero, int32_t count, int16_t *to)
{
    const int16_t less = (int16_t)zero;
    int32_t i = 0;
    for (; i + MCG_LANES_16 <= count; i += MCG_LANES_16) {
        const mcg_halves_t values = mcg_widen(mcg_load_bytes(x + i)) - less;
        __builtin_memcpy(to + i, &values, sizeof values);
    }
    for (; i < count; i++) {
        to[i] = (int16_t)(x[i] - zero);
    }
}

/** Begins with no row. */
static inline void mcg_band_begin(const mcg_conv2d_t *g, mcg_band_t *band)
{
    band->run = g->k_w * g->in_c;
    band->pitch = mcg_band_pitch(g);
    band->step = g->stride_w * g->in_c;
    __builtin_memset(band->halves, 0, (size_t)(g->k_h * band->pitch) * sizeof band->halves[0]);
}

/** The rows that row `out_y` of the outputs reads. */
static inline void mcg_band_fill(const mcg_conv2d_t *g, const int8_t *x, int32_t out_y, mcg_band_t *band)
{
    const int32_t inside = mcg_min((band->pitch - MCG_LANES_16) / g->in_c - g->pad_left, g->in_w) * g->in_c;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = out_y * g->stride_h - g->pad_top + ky * g->dilation_h;
        int16_t *to = band->halves + ky * band->pitch + g->pad_left * g->in_c;
        if (inside <= 0) {
            continue; /* windows lie beside the map */
        }
        if (y >= 0 && y < g->in_h) {
            mcg_widen_run(x + y * g->in_w * g->in_c, g->x_zero, inside, to);
        } else {
            __builtin_memset(to, 0, (size_t)inside * sizeof to[0]);
        }
    }
}

/** Where the windows of all pixels of a row begin, at a row of the kernel. */
static inline const int16_t *mcg_band_row(const mcg_band_t *band, int32_t ky)
{
    return band->halves + ky * band->pitch;
}

/**
 * @brief As mcg_conv2d_s8, by bands: output channels are lanes, of which weights are packed for all pixels.
 *
 * @return whether it is done: some layers have too long rows, too many taps or too few pixels
 */
bool mcg_conv2d_lanes_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                         const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                         int32_t *peak);

/**
 * @brief As mcg_conv2d_grad_input_s8, with input channels as lanes, of which weights are packed for all
 * pixels.
 *
 * @return whether it is done, as above
 */
bool mcg_conv2d_lanes_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                    const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                    const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                                    int32_t *peak);

#endif /* MCG_HAS_AVX2 */

#endif /* MCG_BANDS_H */
