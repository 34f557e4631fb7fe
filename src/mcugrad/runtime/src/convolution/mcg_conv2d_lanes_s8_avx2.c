/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

typedef struct {
    const mcg_conv2d_t *g;
    mcg_band_t band;
    int32_t pairs;                    /* of a run, the last one with a weight of 0 if need be */
    int32_t packed[MCG_PACKED];       /* [16 channels][k_h][pairs] vectors of 16 channels */
    int32_t acc[MCG_TILE][MCG_BLOCK]; /* [pixels][channels] */
} mcg_lanes_t;

/* Eight taps of eight channels, as pairs side by side, one pair of all channels after the other. */
static void mcg_lanes_turn(const mcg_bytes_t row[8], mcg_bytes_t to[8])
{
    typedef int16_t shorts_t __attribute__((vector_size(16)));
    typedef int32_t words_t __attribute__((vector_size(16)));
    typedef long long longs_t __attribute__((vector_size(16)));
    shorts_t a[8];
    words_t b[8];
    for (int32_t i = 0; i < 8; i += 2) {
        const shorts_t one = (shorts_t)row[i];
        const shorts_t two = (shorts_t)row[i + 1];
        a[i] = MCG_SHUFFLE(shorts_t, one, two, 0, 8, 1, 9, 2, 10, 3, 11);
        a[i + 1] = MCG_SHUFFLE(shorts_t, one, two, 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int32_t i = 0; i < 8; i += 4) {
        for (int32_t j = 0; j < 2; j++) {
            const words_t one = (words_t)a[i + j];
            const words_t two = (words_t)a[i + j + 2];
            b[i + 2 * j] = MCG_SHUFFLE(words_t, one, two, 0, 4, 1, 5);
            b[i + 2 * j + 1] = MCG_SHUFFLE(words_t, one, two, 2, 6, 3, 7);
        }
    }
    for (int32_t i = 0; i < 4; i++) {
        const longs_t one = (longs_t)b[i];
        const longs_t two = (longs_t)b[i + 4];
        to[2 * i] = (mcg_bytes_t)MCG_SHUFFLE(longs_t, one, two, 0, 2);
        to[2 * i + 1] = (mcg_bytes_t)MCG_SHUFFLE(longs_t, one, two, 1, 3);
    }
}

/* Packs a run of eight channels; channels that are not there have weights of 0. */
static void mcg_lanes_pack_run(const int8_t *w, int32_t taps, int32_t channels, const int8_t *end,
                               int32_t run, int32_t *to)
{
    for (int32_t k = 0; k < run; k += MCG_LANES_16) {
        mcg_bytes_t row[8];
        mcg_bytes_t turned[8];
        for (int32_t o = 0; o < 8; o++) {
            row[o] = o < channels ? mcg_load_some(w + o * taps + k, run - k, end) : (mcg_bytes_t){0};
        }
        mcg_lanes_turn(row, turned);
        for (int32_t i = 0; i < 8 && k + 2 * i < run; i++) {
            const mcg_halves_t pair = mcg_widen(turned[i]);
            __builtin_memcpy(to, &pair, sizeof pair);
            to += MCG_LANES_16;
        }
    }
}

/* Packs the weights of some channels. */
static void mcg_lanes_pack(mcg_lanes_t *s, const int8_t *w, int32_t count)
{
    const int32_t run = s->band.run;
    const int32_t taps = run * s->g->k_h;
    const int8_t *const end = w + count * taps;
    int32_t *to = s->packed;
    for (int32_t first = 0; first < count; first += MCG_LANES_16) {
        for (int32_t ky = 0; ky < s->g->k_h; ky++) {
            const int8_t *from = w + first * taps + ky * run;
            mcg_lanes_pack_run(from, taps, count - first, end, run, to);
            mcg_lanes_pack_run(from + MCG_LANES_8 * taps, taps, count - first - MCG_LANES_8, end, run,
                               to + MCG_LANES_8);
            to += s->pairs * MCG_LANES_16;
        }
    }
}

/* Sums of 16 channels at four pixels that lie `step` apart; with a step of 0 they are one. */
static void mcg_lanes_tile(const mcg_lanes_t *s, const int32_t *w, int32_t from, const int32_t step[MCG_TILE],
                           const int32_t *bias, int32_t at, int32_t (*to)[MCG_BLOCK])
{
    mcg_words_t sums[MCG_TILE][2];
    for (int32_t i = 0; i < MCG_TILE; i++) {
        sums[i][0] = mcg_load_words(bias);
        sums[i][1] = mcg_load_words(bias + MCG_LANES_8);
    }
    for (int32_t ky = 0; ky < s->g->k_h; ky++) {
        const int16_t *x = mcg_band_row(&s->band, ky) + from;
        for (int32_t k = 0; k < s->pairs; k++) {
            const mcg_halves_t w0 = (mcg_halves_t)mcg_load_words(w);
            const mcg_halves_t w1 = (mcg_halves_t)mcg_load_words(w + MCG_LANES_8);
            for (int32_t i = 0; i < MCG_TILE; i++) {
                int32_t pair;
                __builtin_memcpy(&pair, x + step[i], sizeof pair);
                sums[i][0] += mcg_products(w0, mcg_pairs(pair));
                sums[i][1] += mcg_products(w1, mcg_pairs(pair));
            }
            w += MCG_LANES_16;
            x += 2;
        }
    }
    for (int32_t i = 0; i < MCG_TILE; i++) {
        mcg_store_words(to[i] + at, sums[i][0]);
        mcg_store_words(to[i] + at + MCG_LANES_8, sums[i][1]);
    }
}

bool mcg_conv2d_lanes_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                         const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                         int32_t *peak)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const int32_t pairs = (g->k_w * g->in_c + 1) / 2;
    const int32_t vectors = g->k_h * pairs;
    const mcg_map_t map = {x, g->in_h, g->in_w, g->in_c, g->in_c, g->x_zero};
    mcg_lanes_t s;
    int32_t highest = 0;
    int32_t most;
    if (g->out_h * g->out_w < MCG_LANES_PIXELS || !mcg_band_fits(g) || vectors > MCG_PACKED / MCG_LANES_16) {
        return false;
    }
    most = mcg_min(MCG_PACKED / MCG_LANES_16 / vectors * MCG_LANES_16, MCG_BLOCK);
    s.g = g;
    s.pairs = pairs;
    mcg_band_begin(g, &s.band);
    for (int32_t first = 0; first < g->out_c; first += most) {
        const int32_t count = mcg_min(g->out_c - first, most);
        int32_t start[MCG_BLOCK];
        for (int32_t o = 0; o < MCG_BLOCK; o++) {
            start[o] = o < count ? bias[first + o] : 0;
        }
        mcg_lanes_pack(&s, w + first * taps, count);
        for (int32_t oy = 0; oy < g->out_h; oy++) {
            mcg_band_fill(g, x, oy, &s.band);
            for (int32_t ox = 0; ox < g->out_w; ox += MCG_TILE) {
                const int32_t pixels = mcg_min(g->out_w - ox, MCG_TILE);
                int32_t step[MCG_TILE];
                for (int32_t i = 0; i < MCG_TILE; i++) {
                    step[i] = mcg_min(i, pixels - 1) * s.band.step;
                }
                for (int32_t o = 0; o < count; o += MCG_LANES_16) {
                    mcg_lanes_tile(&s, s.packed + o * vectors, ox * s.band.step, step, start + o, o, s.acc);
                }
                for (int32_t i = 0; i < pixels; i++) {
                    int8_t *to = y + (oy * g->out_w + ox + i) * g->out_c + first;
                    if (w_zero != NULL) {
                        mcg_lower(*w_zero * mcg_window_sum_s8(g, &map, oy, ox + i), count, s.acc[i]);
                    }
                    highest =
                        mcg_max(highest, mcg_output_s8(s.acc[i], scale + first, clip, g->y_zero, count, to));
                }
            }
        }
    }
    *peak = highest;
    return true;
}
