/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Windows that may cover a coordinate: from the first to the last. */
typedef struct {
    int32_t first, last;
} mcg_cover_t;

static inline mcg_cover_t mcg_cover(int32_t coordinate, int32_t reach, int32_t stride, int32_t outputs)
{
    const int32_t before = coordinate - reach;
    const mcg_cover_t found = {before <= 0 ? 0 : (before + stride - 1) / stride,
                               mcg_min(coordinate / stride, outputs - 1)};
    return found;
}

/* Channels at a time. */
#define MCG_POOLED 32

/* A block of channels on its way over the map. */
typedef struct {
    mcg_panel_error_t how;
    union { /* one factor again and again, where words begin */
        uint32_t word;
        mcg_scale_t scale[MCG_POOLED];
    } factors;
    int32_t acc[MCG_POOLED];        /* of a run of pixels that the same windows cover */
    uint32_t error[MCG_POOLED / 4]; /* what these become where x is not flat */
} mcg_pooled_t;

/* Sums of a pixel, of a block of channels. */
static void mcg_pooled_sums(const mcg_pool2d_t *g, const int8_t *e, const int32_t *weight_h,
                            const int32_t *weight_w, int32_t iy, int32_t ix, const mcg_cover_t *rows,
                            const mcg_cover_t *columns, int32_t block, int32_t *acc)
{
    for (int32_t c = 0; c < block; c++) {
        acc[c] = 0;
    }
    for (int32_t oy = rows->first; oy <= rows->last; oy++) {
        if ((iy - oy * g->stride_h) % g->dilation_h != 0) {
            continue;
        }
        for (int32_t ox = columns->first; ox <= columns->last; ox++) {
            if ((ix - ox * g->stride_w) % g->dilation_w == 0) {
                const int32_t weight = weight_h[oy] * weight_w[ox];
                const int8_t *from = e + (oy * g->out_w + ox) * g->channels;
                for (int32_t c = 0; c < block; c++) {
                    acc[c] += from[c] * weight;
                }
            }
        }
    }
}

/* Errors of the sums as they are where nothing is flat; false where one is beyond a byte. */
static bool mcg_pooled_errors(mcg_pooled_t *p, int32_t block)
{
    mcg_q_clear();
    for (int32_t c = 0; c < block; c += 4) {
        uint32_t four = 0;
        for (uint32_t i = 0; i < 4U; i++) {
            const int32_t error = mcg_rescale(p->acc[c + (int32_t)i], p->factors.scale[0]);
            four |= ((uint32_t)mcg_ssat(error) & 0xffU) << (8U * i);
        }
        p->error[c / 4] = four;
        if (mcg_has_lowest(four)) {
            return false;
        }
    }
    return !mcg_q_is_set();
}

/* Words of channels, one or two, of a run of pixels: errors are known but for where x is flat. */
static inline MCG_SPARE void mcg_pooled_words(mcg_pooled_t *p, int32_t from, int32_t words, bool both,
                                              const int8_t *x, int32_t pixels, int32_t pitch, int8_t *e_x)
{
    const uint32_t low = p->how.low;
    const uint32_t high = p->how.high;
    const uint32_t *const error = p->error + from;
    uint32_t seen[2] = {0, 0}; /* what x is not flat for at any of them */
    x += 4 * from;
    e_x += 4 * from;
    for (; pixels != 0; pixels--) {
        for (int32_t i = 0; i < words; i++) {
            const uint32_t here = mcg_load32(x + 4 * i);
            uint32_t four = mcg_select8(here, low, error[i], 0);
            if (both) {
                four = mcg_select8(high, here, four, 0);
            }
            seen[i] |= four;
            mcg_store32(e_x + 4 * i, four);
        }
        x += pitch;
        e_x += pitch;
    }
    for (int32_t i = 0; i < words; i++) {
        p->how.ends[0] = mcg_select8(p->how.ends[0], seen[i], seen[i], p->how.ends[0]);
        p->how.ends[1] = mcg_select8(p->how.ends[1], seen[i], p->how.ends[1], seen[i]);
    }
}

static void mcg_pooled_run(mcg_pooled_t *p, const int8_t *x, int32_t pixels, int32_t pitch, int32_t block,
                           int8_t *e_x)
{
    int32_t word = 0;
    for (; word + 2 <= block / 4; word += 2) {
        if (p->how.kind == 1) {
            mcg_pooled_words(p, word, 2, false, x, pixels, pitch, e_x);
        } else {
            mcg_pooled_words(p, word, 2, true, x, pixels, pitch, e_x);
        }
    }
    if (word < block / 4) {
        mcg_pooled_words(p, word, 1, true, x, pixels, pitch, e_x);
    }
}

/* How many coordinates from one on the same windows cover, up to the end of the map. */
static int32_t mcg_pooled_alike(int32_t from, int32_t end, int32_t taps, int32_t stride, int32_t outputs,
                                const mcg_cover_t *cover)
{
    int32_t count = 1;
    while (from + count < end) {
        const mcg_cover_t next = mcg_cover(from + count, taps - 1, stride, outputs);
        if (next.first != cover->first || next.last != cover->last) {
            break;
        }
        count++;
    }
    return count;
}

/* A run of pixels that the same windows cover. */
static void mcg_pooled_pixels(mcg_pooled_t *p, const int8_t *x, int32_t pixels, int32_t pitch, int32_t block,
                              int8_t *e_x)
{
    const int32_t whole = p->how.kind == 0 ? 0 : block & ~3;
    int32_t done = 0;
    if (pixels > 1 && mcg_pooled_errors(p, whole)) {
        mcg_pooled_run(p, x, pixels, pitch, whole, e_x);
        done = whole;
    }
    for (int32_t i = done == block ? pixels : 0; i < pixels; i++) {
        const int32_t at = i * pitch + done;
        p->how.highest =
            mcg_max(p->how.highest, mcg_row_errors(p->acc + done, x + at, p->how.x_zero, p->factors.scale,
                                                   p->how.clip, block - done, e_x + at));
    }
}

void mcg_avgpool2d_grad_input_s8(const mcg_pool2d_t *g, int32_t x_zero, const int8_t *e, const int8_t *x,
                                 const int32_t *weight_h, const int32_t *weight_w, const mcg_scale_t *scale,
                                 const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const mcg_panel_error_t how = {scale, clip, x, e_x, x_zero, 0, 0, 0, 0, {0, 0}, -1, false};
    const bool plain = g->dilation_h == 1 && g->dilation_w == 1;
    const int32_t bottom = g->pad_top + g->in_h;
    const int32_t right = g->pad_left + g->in_w;
    mcg_pooled_t p;
    p.how = how;
    mcg_panel_error_bounds(&p.how);
    for (int32_t i = 0; i < MCG_POOLED; i++) {
        p.factors.scale[i] = *scale;
    }
    for (int32_t first = 0; first < g->channels; first += MCG_POOLED) {
        const int32_t block = mcg_min(g->channels - first, MCG_POOLED);
        int32_t at = first;
        int32_t lines;
        for (int32_t iy = g->pad_top; iy < bottom; iy += lines) {
            const mcg_cover_t rows = mcg_cover(iy, (g->k_h - 1) * g->dilation_h, g->stride_h, g->out_h);
            int32_t count;
            lines = 1;
            for (int32_t ix = g->pad_left; ix < right; ix += count) {
                const mcg_cover_t columns =
                    mcg_cover(ix, (g->k_w - 1) * g->dilation_w, g->stride_w, g->out_w);
                count = plain ? mcg_pooled_alike(ix, right, g->k_w, g->stride_w, g->out_w, &columns) : 1;
                if (plain && count == g->in_w) {
                    lines = mcg_pooled_alike(iy, bottom, g->k_h, g->stride_h, g->out_h, &rows);
                }
                mcg_pooled_sums(g, e + first, weight_h, weight_w, iy, ix, &rows, &columns, block, p.acc);
                mcg_pooled_pixels(&p, x + at, lines * count, g->channels, block, e_x + at);
                at += lines * count * g->channels;
            }
        }
    }
    *peak = mcg_panel_error_peak(&p.how);
}
