/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Pixels that are handled together: neighbours at the same place within a stride, which the same taps reach.
 */
#define MCG_FOUR 4

/* Output channels at a time. */
#define MCG_ERRORS 1024

/* Sums of a block of input channels at four pixels; rows of weights may be read beyond its end. */
typedef struct {
    const mcg_conv2d_t *g;
    const int8_t *w;
    const int8_t *end;
    const uint16_t *active;
    int32_t out_c;
    int32_t sums[MCG_FOUR][MCG_BLOCK + MCG_LANES_16];
    int16_t errors[MCG_FOUR][MCG_ERRORS + 2]; /* an even number counts */
} mcg_spread_t;

/* 16 bytes, of which those beyond the end are 0. */
static mcg_bytes_t mcg_spread_bytes(const int8_t *from, const int8_t *end)
{
    mcg_bytes_t bytes = {0};
    if (end - from >= MCG_LANES_16) {
        return mcg_load_bytes(from);
    }
    for (int32_t i = 0; i < (int32_t)(end - from); i++) {
        bytes[i] = from[i];
    }
    return bytes;
}

/* Adds 16 channels of one tap: of each pair of output channels the errors at four pixels, times two rows. */
static void mcg_spread_taps(mcg_spread_t *s, const int8_t *tap, int32_t first, int32_t errors, int32_t at)
{
    const int32_t taps = s->g->k_h * s->g->k_w * s->g->in_c;
    mcg_words_t low[MCG_FOUR];
    mcg_words_t high[MCG_FOUR];
    for (int32_t i = 0; i < MCG_FOUR; i++) {
        low[i] = mcg_load_words(s->sums[i] + at);
        high[i] = mcg_load_words(s->sums[i] + at + MCG_LANES_8);
    }
    for (int32_t o = 0; o < errors; o += 2) {
        int32_t pair[MCG_FOUR];
        for (int32_t i = 0; i < MCG_FOUR; i++) {
            __builtin_memcpy(&pair[i], s->errors[i] + o, sizeof pair[i]);
        }
        if (((pair[0] | pair[1]) | (pair[2] | pair[3])) != 0) {
            const int32_t next = mcg_min(o + 1, errors - 1);
            const int8_t *one = tap + mcg_active_at(s->active, first + o) * taps + at;
            const int8_t *two = tap + mcg_active_at(s->active, first + next) * taps + at;
            mcg_halves_t w[2];
            mcg_interleave(mcg_spread_bytes(one, s->end), mcg_spread_bytes(two, s->end), w);
            for (int32_t i = 0; i < MCG_FOUR; i++) {
                const mcg_halves_t e = mcg_pairs(pair[i]);
                low[i] += mcg_products(w[0], e);
                high[i] += mcg_products(w[1], e);
            }
        }
    }
    for (int32_t i = 0; i < MCG_FOUR; i++) {
        mcg_store_words(s->sums[i] + at, low[i]);
        mcg_store_words(s->sums[i] + at + MCG_LANES_8, high[i]);
    }
}

/* Adds a tap: errors of a row of outputs, of which four are reached, `left` the first. */
static void mcg_spread_tap(mcg_spread_t *s, const int8_t *e, int32_t left, const int8_t *tap, int32_t count)
{
    for (int32_t first = 0; first < s->out_c; first += MCG_ERRORS) {
        const int32_t errors = mcg_min(s->out_c - first, MCG_ERRORS);
        for (int32_t i = 0; i < MCG_FOUR; i++) {
            const bool reached = left + i >= 0 && left + i < s->g->out_w;
            const int8_t *from = reached ? e + (left + i) * s->out_c + first : e;
            int16_t *to = s->errors[i];
            for (int32_t o = 0; o < errors; o++) {
                to[o] = (int16_t)(reached ? from[o] : 0);
            }
            to[errors] = 0;
        }
        for (int32_t at = 0; at < count; at += MCG_LANES_16) {
            mcg_spread_taps(s, tap, first, errors, at);
        }
    }
}

/* Sums of `count` channels from `channel` on, at four pixels of a row. */
static void mcg_spread_four(mcg_spread_t *s, const int8_t *e, mcg_position_t y, mcg_position_t left,
                            int32_t channel, int32_t count)
{
    const mcg_conv2d_t *g = s->g;
    for (int32_t i = 0; i < MCG_FOUR; i++) {
        for (int32_t c = 0; c < MCG_BLOCK + MCG_LANES_16; c++) {
            s->sums[i][c] = 0;
        }
    }
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        if (mcg_position_hits(y, g->out_h)) {
            mcg_position_t column = left;
            for (int32_t kx = 0; kx < g->k_w; kx++) {
                if (column.rest == 0 && column.at > -MCG_FOUR && column.at < g->out_w) {
                    mcg_spread_tap(s, e + y.at * g->out_w * s->out_c, column.at,
                                   s->w + (ky * g->k_w + kx) * g->in_c + channel, count);
                }
                column = mcg_position_before(column, g->dilation_w, g->stride_w);
            }
        }
        y = mcg_position_before(y, g->dilation_h, g->stride_h);
    }
}

void mcg_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                              const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                              const int32_t *clip, int8_t *e_x, int32_t *peak, int32_t room,
                              uint32_t *scratch)
{
    const int32_t stride = g->stride_w;
    int32_t highest = 0;
    mcg_spread_t s;
    (void)room;
    (void)scratch;
    if (mcg_conv2d_lanes_grad_input_s8(g, e, active, w, w_zero, x, scale, clip, e_x, peak)) {
        return;
    }
    s.g = g;
    s.w = w;
    s.end = w + g->out_c * g->k_h * g->k_w * g->in_c;
    s.active = active;
    s.out_c = mcg_active_count(active, g->out_c);
    for (int32_t iy = 0; iy < g->in_h; iy++) {
        const mcg_position_t top = mcg_position(iy + g->pad_top, g->stride_h);
        for (int32_t phase = 0; phase < mcg_min(stride, g->in_w); phase++) {
            for (int32_t ix = phase; ix < g->in_w; ix += MCG_FOUR * stride) {
                const mcg_position_t left = mcg_position(ix + g->pad_left, stride);
                const int32_t pixels = mcg_min((g->in_w - ix + stride - 1) / stride, MCG_FOUR);
                for (int32_t first = 0; first < g->in_c; first += MCG_BLOCK) {
                    const int32_t count = mcg_min(g->in_c - first, MCG_BLOCK);
                    mcg_spread_four(&s, e, top, left, first, count);
                    for (int32_t i = 0; i < pixels; i++) {
                        const int32_t column = ix + i * stride;
                        const int32_t at = (iy * g->in_w + column) * g->in_c + first;
                        if (w_zero != NULL) {
                            const mcg_map_t map = {e, g->out_h, g->out_w, s.out_c, s.out_c, 0};
                            mcg_lower(*w_zero * mcg_reach_sum_s8(g, &map, iy, column), count, s.sums[i]);
                        }
                        highest = mcg_max(highest, mcg_error_s8(s.sums[i], x + at, g->x_zero, scale + first,
                                                                clip, count, e_x + at));
                    }
                }
            }
        }
    }
    *peak = highest;
}
