/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Windows that are multiplied together. */
#define MCG_TWO 2

/* Products of two windows with four rows of weights: whole vectors, then the last taps, whose vectors are
 * zeros where whole ones have been. So no row is read beyond its end. */
static void mcg_conv2d_rows(const int16_t *const x[MCG_TWO], const mcg_halves_t last[MCG_TWO], int32_t taps,
                            const int8_t *const w[4], int32_t sums[MCG_TWO][4])
{
    mcg_words_t acc[MCG_TWO][4];
    for (int32_t r = 0; r < 4; r++) {
        const mcg_halves_t row = mcg_widen(mcg_load_bytes(w[r] + taps - MCG_LANES_16));
        acc[0][r] = mcg_products(last[0], row);
        acc[1][r] = mcg_products(last[1], row);
    }
    for (int32_t k = 0; k + MCG_LANES_16 <= taps; k += MCG_LANES_16) {
        const mcg_halves_t x0 = mcg_load_halves(x[0] + k);
        const mcg_halves_t x1 = mcg_load_halves(x[1] + k);
        for (int32_t r = 0; r < 4; r++) {
            const mcg_halves_t row = mcg_widen(mcg_load_bytes(w[r] + k));
            acc[0][r] += mcg_products(x0, row);
            acc[1][r] += mcg_products(x1, row);
        }
    }
    mcg_sums(acc[0], sums[0]);
    mcg_sums(acc[1], sums[1]);
}

/* The last taps of a window, behind zeros. */
static mcg_halves_t mcg_conv2d_last(const int16_t *window, int32_t taps)
{
    mcg_halves_t values = {0};
    for (int32_t i = MCG_LANES_16 - taps % MCG_LANES_16; i < MCG_LANES_16; i++) {
        values[i] = window[taps - MCG_LANES_16 + i];
    }
    return values;
}

/* Rows shorter than a vector, each with zeros behind it. */
static void mcg_conv2d_lengthen(const int8_t *w, int32_t taps, int32_t rows, int8_t *to)
{
    for (int32_t o = 0; o < rows; o++) {
        for (int32_t k = 0; k < MCG_LANES_16; k++) {
            to[o * MCG_LANES_16 + k] = (int8_t)(k < taps ? w[o * taps + k] : 0);
        }
    }
}

/* Sums of a block of output channels at two windows, bias included. */
static void mcg_conv2d_sums(const int16_t *const x[MCG_TWO], int32_t taps, const int8_t *w,
                            const int32_t *bias, int32_t count, int32_t acc[MCG_TWO][MCG_BLOCK])
{
    const mcg_halves_t last[MCG_TWO] = {mcg_conv2d_last(x[0], taps), mcg_conv2d_last(x[1], taps)};
    for (int32_t o = 0; o < count; o += 4) {
        int32_t sums[MCG_TWO][4];
        const int8_t *row[4]; /* beyond the last row that one again */
        for (int32_t i = 0; i < 4; i++) {
            row[i] = w + mcg_min(o + i, count - 1) * taps;
        }
        mcg_conv2d_rows(x, last, taps, row, sums);
        for (int32_t i = 0; i < 4; i++) { /* a block is a multiple of 4 */
            const int32_t start = bias[mcg_min(o + i, count - 1)];
            acc[0][o + i] = start + sums[0][i];
            acc[1][o + i] = start + sums[1][i];
        }
    }
}

void mcg_conv2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                   const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y, int32_t *peak,
                   int16_t *patch, int32_t room, uint32_t *scratch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const int32_t pixels = g->out_h * g->out_w;
    const bool few = taps < MCG_LANES_16;
    const bool alone = taps > MCG_WINDOW_TAPS; /* one window at a time, where the arena has one */
    const mcg_map_t map = {x, g->in_h, g->in_w, g->in_c, g->in_c, g->x_zero};
    int16_t own[MCG_TWO][MCG_WINDOW_TAPS];
    int8_t rows[MCG_BLOCK * MCG_LANES_16];
    int32_t acc[MCG_TWO][MCG_BLOCK];
    int32_t highest = 0;
    (void)room;
    (void)scratch;
    if (mcg_conv2d_lanes_s8(g, x, w, w_zero, bias, scale, clip, y, peak)) {
        return;
    }
    for (int32_t i = 0; i < MCG_LANES_16; i++) {
        own[0][i] = own[1][i] = 0; /* behind windows shorter than a vector */
    }
    for (int32_t first = 0; first < g->out_c; first += MCG_BLOCK) {
        const int32_t count = mcg_min(g->out_c - first, MCG_BLOCK);
        const int8_t *from = w + first * taps;
        if (few) {
            mcg_conv2d_lengthen(from, taps, count, rows);
        }
        for (int32_t pixel = 0; pixel < pixels;) {
            const int32_t here = mcg_min(pixels - pixel, alone ? 1 : MCG_TWO);
            for (int32_t i = 0; i < here; i++) {
                mcg_patch_s8(g, x, (pixel + i) / g->out_w, (pixel + i) % g->out_w, alone ? patch : own[i]);
            }
            const int16_t *const one = alone ? patch : own[0];
            const int16_t *const windows[MCG_TWO] = {one, here == MCG_TWO ? own[1] : one};
            mcg_conv2d_sums(windows, few ? MCG_LANES_16 : taps, few ? rows : from, bias + first, count, acc);
            for (int32_t i = 0; i < here; i++) {
                if (w_zero != NULL) {
                    mcg_lower(*w_zero * mcg_window_sum_s8(g, &map, pixel / g->out_w, pixel % g->out_w), count,
                              acc[i]);
                }
                highest = mcg_max(highest, mcg_output_s8(acc[i], scale + first, clip, g->y_zero, count,
                                                         y + pixel * g->out_c + first));
                pixel++;
            }
        }
    }
    *peak = highest;
}
