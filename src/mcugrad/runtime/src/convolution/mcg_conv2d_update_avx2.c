/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Pairs of pixels, and words of their windows, that are gathered before they are multiplied. */
#define MCG_GATHERED 64
#define MCG_GATHERED_WORDS 16384

/* Words of gradients at a time. */
#define MCG_GRADIENT_WORDS 24576

/* Rows of a tile of gradients: eight vectors of sums, with two of taps. */
#define MCG_TILE_ROWS 4

/*
 * A gradient is a sum over pixels, so a word holds one tap at two pixels, and another the errors of both.
 * Taps are lanes.
 */
typedef struct {
    int32_t taps;
    int32_t rows;  /* output channels */
    int32_t pitch; /* errors from pair to pair */
    int32_t count; /* pairs that are there */
    int32_t most;  /* pairs that there is room for */
    int32_t windows[MCG_GATHERED_WORDS + MCG_LANES_16];
    int32_t errors[MCG_GATHERED * MCG_BLOCK];
    int32_t sums[MCG_GRADIENT_WORDS];
} mcg_gathered_t;

/* Halves of two runs side by side; up to 15 words behind them are written as well. */
static void mcg_gather_run(const int16_t *a, const int16_t *b, int32_t count, int32_t *to)
{
    for (int32_t k = 0; k < count; k += MCG_LANES_16) {
        mcg_words_t both[2];
        mcg_zip_halves(mcg_exchange(mcg_load_halves(a + k)), mcg_exchange(mcg_load_halves(b + k)), both);
        mcg_store_words(to + k, both[0]);
        mcg_store_words(to + k + MCG_LANES_8, both[1]);
    }
}

/* Errors of two pixels side by side; none of the second where it is the first again. */
static void mcg_gather_errors(mcg_gathered_t *all, const int8_t *a, const int8_t *b)
{
    int32_t *to = all->errors + all->count * all->pitch;
    for (int32_t o = 0; o < all->rows; o++) {
        to[o] = mcg_pair(a[o], a == b ? 0 : b[o]);
    }
}

/* Sums of four rows and 16 taps over all pairs. */
static void mcg_gathered_tile(const mcg_gathered_t *all, int32_t row, int32_t tap,
                              mcg_words_t sums[MCG_TILE_ROWS][2])
{
    const int32_t *x = all->windows + tap;
    const int32_t *e = all->errors + row;
    const mcg_words_t zero = {0};
    for (int32_t i = 0; i < MCG_TILE_ROWS; i++) {
        sums[i][0] = sums[i][1] = zero;
    }
    for (int32_t n = 0; n < all->count; n++) {
        const mcg_halves_t x0 = (mcg_halves_t)mcg_load_words(x);
        const mcg_halves_t x1 = (mcg_halves_t)mcg_load_words(x + MCG_LANES_8);
        for (int32_t i = 0; i < MCG_TILE_ROWS; i++) {
            const mcg_halves_t pair = mcg_pairs(e[i]);
            sums[i][0] += mcg_products(x0, pair);
            sums[i][1] += mcg_products(x1, pair);
        }
        x += all->taps;
        e += all->pitch;
    }
}

/* Adds what has been gathered to the gradients, and lets it go. */
static void mcg_gathered_add(mcg_gathered_t *all)
{
    for (int32_t tap = 0; tap < all->taps && all->count > 0; tap += MCG_LANES_16) {
        const int32_t taps = mcg_min(all->taps - tap, MCG_LANES_16);
        for (int32_t row = 0; row < all->rows; row += MCG_TILE_ROWS) {
            mcg_words_t sums[MCG_TILE_ROWS][2];
            mcg_gathered_tile(all, row, tap, sums);
            for (int32_t i = 0; i < mcg_min(all->rows - row, MCG_TILE_ROWS); i++) {
                int32_t *to = all->sums + (row + i) * all->taps + tap;
                if (taps == MCG_LANES_16) {
                    mcg_store_words(to, mcg_load_words(to) + sums[i][0]);
                    mcg_store_words(to + MCG_LANES_8, mcg_load_words(to + MCG_LANES_8) + sums[i][1]);
                } else {
                    for (int32_t k = 0; k < taps; k++) {
                        to[k] += sums[i][k / MCG_LANES_8][k % MCG_LANES_8];
                    }
                }
            }
        }
    }
    all->count = 0;
}

/* Gathers windows at two pixels, of `runs` runs each that lie `pitch` apart, and their errors. */
static void mcg_gather(mcg_gathered_t *all, const int16_t *a, const int16_t *b, int32_t runs, int32_t run,
                       int32_t pitch, const int8_t *e_a, const int8_t *e_b)
{
    int32_t *to = all->windows + all->count * all->taps;
    for (int32_t ky = 0; ky < runs; ky++) {
        mcg_gather_run(a + ky * pitch, b + ky * pitch, run, to + ky * run);
    }
    mcg_gather_errors(all, e_a, e_b);
    all->count++;
    if (all->count == all->most) {
        mcg_gathered_add(all);
    }
}

/* Gradients of some output channels by bands. Pixels without an error are left out. */
static void mcg_gather_bands(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, int32_t out_c,
                             mcg_gathered_t *all)
{
    mcg_band_t band;
    mcg_band_begin(g, &band);
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        int32_t waiting = -1;
        if (!mcg_any_s8(e, (g->out_w - 1) * out_c + all->rows)) {
            e += g->out_w * out_c;
            continue;
        }
        mcg_band_fill(g, x, oy, &band);
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            if (mcg_any_s8(e + ox * out_c, all->rows)) {
                if (waiting < 0) {
                    waiting = ox;
                } else {
                    mcg_gather(all, band.halves + waiting * band.step, band.halves + ox * band.step, g->k_h,
                               band.run, band.pitch, e + waiting * out_c, e + ox * out_c);
                    waiting = -1;
                }
            }
        }
        if (waiting >= 0) {
            const int16_t *const last = band.halves + waiting * band.step;
            mcg_gather(all, last, last, g->k_h, band.run, band.pitch, e + waiting * out_c,
                       e + waiting * out_c);
        }
        e += g->out_w * out_c;
    }
    mcg_gathered_add(all);
}

/* The same where windows are no runs, or bands have no room: one by one. */
static void mcg_gather_patches(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, int32_t out_c,
                               mcg_gathered_t *all)
{
    int16_t patch[MCG_WINDOW_TAPS + MCG_LANES_16];
    for (int32_t pixel = 0; pixel < g->out_h * g->out_w; pixel++) {
        if (mcg_any_s8(e, all->rows)) {
            mcg_patch_s8(g, x, pixel / g->out_w, pixel % g->out_w, patch);
            mcg_gather(all, patch, patch, 1, all->taps, 0, e, e);
        }
        e += out_c;
    }
    mcg_gathered_add(all);
}

/* Gradients where windows are too large for the stack. */
static void mcg_conv2d_large(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, int32_t out_c,
                             int32_t count, int32_t *gradient, int16_t *patch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            mcg_patch_s8(g, x, oy, ox, patch);
            mcg_add_outer_s16(e, count, patch, taps, taps, gradient);
            e += out_c;
        }
    }
}

void mcg_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                       float *w_scale, int32_t *gradient, int16_t *patch, int32_t room, uint32_t *scratch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const int32_t out_c = mcg_active_count(active, g->out_c);
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    const bool large = taps > MCG_WINDOW_TAPS;
    mcg_gathered_t all;
    int32_t *sums = large ? gradient : all.sums;
    const int32_t most = large ? rows : mcg_min(MCG_GRADIENT_WORDS / taps, MCG_BLOCK);
    (void)room;
    (void)scratch;
    all.taps = taps;
    all.most = mcg_min(MCG_GATHERED_WORDS / taps, MCG_GATHERED);
    all.pitch = MCG_BLOCK;
    for (int32_t first = 0; first < out_c; first += most) {
        const int32_t count = mcg_min(out_c - first, most);
        __builtin_memset(sums, 0, (size_t)(count * taps) * sizeof sums[0]);
        all.count = 0;
        all.rows = count;
        if (large) {
            mcg_conv2d_large(g, x, e + first, out_c, count, sums, patch);
        } else if (mcg_band_fits(g)) {
            mcg_gather_bands(g, x, e + first, out_c, &all);
        } else {
            mcg_gather_patches(g, x, e + first, out_c, &all);
        }
        for (int32_t o = 0; o < count; o++) {
            mcg_update_row(rule, sums + o * taps, taps, mcg_active_at(active, first + o), factor, stream, w,
                           residual, w_scale);
        }
    }
}
