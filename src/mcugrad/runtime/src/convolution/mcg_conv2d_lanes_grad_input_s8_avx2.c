/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

typedef struct {
    const mcg_conv2d_t *g;
    int32_t pairs;                    /* of output channels */
    int32_t left;                     /* columns of errors before the first, which are 0 */
    int32_t pitch;                    /* from row to row */
    int16_t errors[MCG_BAND_HALVES];  /* [k_h][columns][2 * pairs] of those rows that are reached */
    int32_t packed[MCG_PACKED];       /* [16 channels][taps][pairs] vectors of 16 channels */
    int32_t acc[MCG_TILE][MCG_BLOCK]; /* [pixels][channels] */
    bool reached[MCG_BAND_ROWS];      /* kernel rows that reach the row of pixels, with an error */
} mcg_back_t;

/* Packs the weights of some input channels. */
static void mcg_back_pack(mcg_back_t *s, const int8_t *w, const uint16_t *active, int32_t out_c,
                          int32_t first, int32_t count)
{
    const int32_t in_c = s->g->in_c;
    const int32_t taps = s->g->k_h * s->g->k_w;
    const int8_t *const end = w + s->g->out_c * taps * in_c;
    int32_t *to = s->packed;
    for (int32_t c = 0; c < count; c += MCG_LANES_16) {
        for (int32_t k = 0; k < taps; k++) {
            for (int32_t o = 0; o < out_c; o += 2) {
                const int8_t *one = w + (mcg_active_at(active, o) * taps + k) * in_c + first + c;
                const int8_t *two =
                    w + (mcg_active_at(active, mcg_min(o + 1, out_c - 1)) * taps + k) * in_c + first + c;
                mcg_halves_t both[2];
                mcg_interleave(mcg_load_some(one, count - c, end), mcg_load_some(two, count - c, end), both);
                __builtin_memcpy(to, both, sizeof both);
                to += MCG_LANES_16;
            }
        }
    }
}

/* Widens the rows of errors that reach a row of pixels. */
static void mcg_back_fill(mcg_back_t *s, const int8_t *e, int32_t out_c, mcg_position_t y)
{
    const mcg_conv2d_t *g = s->g;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        s->reached[ky] = false;
        if (mcg_position_hits(y, g->out_h)) {
            const int8_t *from = e + y.at * g->out_w * out_c;
            int16_t *to = s->errors + ky * s->pitch + s->left * 2 * s->pairs;
            if (mcg_any_s8(from, g->out_w * out_c)) {
                s->reached[ky] = true;
                if (out_c == 2 * s->pairs) {
                    mcg_widen_run(from, 0, g->out_w * out_c, to);
                } else {
                    for (int32_t ox = 0; ox < g->out_w; ox++) {
                        mcg_widen_run(from + ox * out_c, 0, out_c, to + ox * 2 * s->pairs);
                    }
                }
            }
        }
        y = mcg_position_before(y, g->dilation_h, g->stride_h);
    }
}

/* Adds one tap to sums of 16 channels at four pixels. */
static inline void mcg_back_tap(const int16_t *e, int32_t pairs, const int32_t *w,
                                mcg_words_t sums[MCG_TILE][2])
{
    for (int32_t o = 0; o < pairs; o++) {
        const mcg_halves_t w0 = (mcg_halves_t)mcg_load_words(w);
        const mcg_halves_t w1 = (mcg_halves_t)mcg_load_words(w + MCG_LANES_8);
        for (int32_t i = 0; i < MCG_TILE; i++) {
            int32_t pair;
            __builtin_memcpy(&pair, e + i * 2 * pairs, sizeof pair);
            sums[i][0] += mcg_products(w0, mcg_pairs(pair));
            sums[i][1] += mcg_products(w1, mcg_pairs(pair));
        }
        w += MCG_LANES_16;
        e += 2;
    }
}

/* Sums of 16 channels at four pixels, `left` the first one's place in the errors. */
static void mcg_back_tile(const mcg_back_t *s, const int32_t *w, mcg_position_t left, int32_t at,
                          int32_t (*to)[MCG_BLOCK])
{
    const mcg_conv2d_t *g = s->g;
    const mcg_words_t zero = {0};
    mcg_words_t sums[MCG_TILE][2];
    for (int32_t i = 0; i < MCG_TILE; i++) {
        sums[i][0] = sums[i][1] = zero;
    }
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        mcg_position_t column = left;
        for (int32_t kx = 0; kx < g->k_w && s->reached[ky]; kx++) {
            if (column.rest == 0 && column.at > -MCG_TILE && column.at < g->out_w) {
                mcg_back_tap(s->errors + ky * s->pitch + (column.at + s->left) * 2 * s->pairs, s->pairs,
                             w + (ky * g->k_w + kx) * s->pairs * MCG_LANES_16, sums);
            }
            column = mcg_position_before(column, g->dilation_w, g->stride_w);
        }
    }
    for (int32_t i = 0; i < MCG_TILE; i++) {
        mcg_store_words(to[i] + at, sums[i][0]);
        mcg_store_words(to[i] + at + MCG_LANES_8, sums[i][1]);
    }
}

bool mcg_conv2d_lanes_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                    const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                    const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const int32_t out_c = mcg_active_count(active, g->out_c);
    const int32_t pairs = (out_c + 1) / 2;
    const int32_t vectors = g->k_h * g->k_w * pairs;
    const int32_t stride = g->stride_w;
    const mcg_map_t map = {e, g->out_h, g->out_w, out_c, out_c, 0};
    int32_t highest = 0;
    int32_t most;
    mcg_back_t s;
    s.g = g;
    s.pairs = pairs;
    s.left = MCG_TILE;
    s.pitch = (g->out_w + 2 * MCG_TILE) * 2 * pairs;
    if (out_c == 0 || g->in_h * g->in_w < MCG_LANES_PIXELS || g->k_h > MCG_BAND_ROWS ||
        s.pitch > MCG_BAND_HALVES / g->k_h || vectors > MCG_PACKED / MCG_LANES_16) {
        return false;
    }
    most = mcg_min(MCG_PACKED / MCG_LANES_16 / vectors * MCG_LANES_16, MCG_BLOCK);
    __builtin_memset(s.errors, 0, (size_t)(g->k_h * s.pitch) * sizeof s.errors[0]);
    for (int32_t first = 0; first < g->in_c; first += most) {
        const int32_t count = mcg_min(g->in_c - first, most);
        mcg_back_pack(&s, w, active, out_c, first, count);
        for (int32_t iy = 0; iy < g->in_h; iy++) {
            mcg_back_fill(&s, e, out_c, mcg_position(iy + g->pad_top, g->stride_h));
            for (int32_t phase = 0; phase < mcg_min(stride, g->in_w); phase++) {
                for (int32_t ix = phase; ix < g->in_w; ix += MCG_TILE * stride) {
                    const mcg_position_t left = mcg_position(ix + g->pad_left, stride);
                    const int32_t pixels = mcg_min((g->in_w - ix + stride - 1) / stride, MCG_TILE);
                    for (int32_t c = 0; c < count; c += MCG_LANES_16) {
                        mcg_back_tile(&s, s.packed + c * vectors, left, c, s.acc);
                    }
                    for (int32_t i = 0; i < pixels; i++) {
                        const int32_t column = ix + i * stride;
                        const int32_t at = (iy * g->in_w + column) * g->in_c + first;
                        if (w_zero != NULL) {
                            mcg_lower(*w_zero * mcg_reach_sum_s8(g, &map, iy, column), count, s.acc[i]);
                        }
                        highest = mcg_max(highest, mcg_error_s8(s.acc[i], x + at, g->x_zero, scale + first,
                                                                clip, count, e_x + at));
                    }
                }
            }
        }
    }
    *peak = highest;
    return true;
}
