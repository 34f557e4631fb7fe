/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Where the four weights are: up to four pieces of kernel rows. */
typedef struct {
    int32_t ky, from; /* kernel row, byte of it */
    int32_t count;
} mcg_taps_piece_t;

/* What is known of four weights. */
typedef struct {
    mcg_taps_piece_t piece[4];
    int32_t pieces;
    int32_t column, channel; /* tap of the first piece's row, and channel of it */
    int32_t begin, end;      /* columns of outputs whose windows are all there, at these weights */
    int32_t offset;          /* of the first piece, from where a window begins */
    bool tap;                /* four channels of one tap: all are there, or none */
} mcg_taps_t;

/* Columns of outputs for which bytes `from` to `from + count` of a line, from where a window begins, are
 * there: none, perhaps, since a tap may be beside the map for longer than a row of outputs. */
static void mcg_taps_columns(const mcg_conv2d_t *g, int32_t from, int32_t count, mcg_taps_t *t)
{
    const int32_t step = g->stride_w * g->in_c;
    const int32_t first = from - g->pad_left * g->in_c;
    const int32_t room = g->in_w * g->in_c - count - first;
    t->begin = first >= 0 ? 0 : mcg_min(g->out_w, (-first + step - 1) / step);
    t->end = room < 0 ? 0 : mcg_min(g->out_w, room / step + 1);
    t->end = mcg_max(t->begin, t->end);
}

static void mcg_taps_of(const mcg_conv2d_t *g, int32_t k, mcg_taps_t *t)
{
    const int32_t run = g->k_w * g->in_c;
    const int32_t taps = g->k_h * run;
    const int32_t ky = k / run;
    const int32_t from = k - ky * run;
    const int32_t all = mcg_min(4, taps - k);
    int32_t left;
    t->column = from / g->in_c;
    t->channel = from - t->column * g->in_c;
    t->tap = t->channel + 4 <= g->in_c;
    t->pieces = 1;
    t->piece[0].ky = ky;
    t->piece[0].from = from;
    t->piece[0].count = mcg_min(all, run - from);
    left = all - t->piece[0].count;
    while (left > 0) {
        const mcg_taps_piece_t piece = {ky + t->pieces, 0, mcg_min(left, run)};
        t->piece[t->pieces++] = piece;
        left -= piece.count;
    }
    t->offset = from + t->column * (g->dilation_w - 1) * g->in_c;
    if (g->dilation_w != 1 && !t->tap) {
        t->begin = 0;
        t->end = 0;
    } else if (t->pieces == 1) {
        mcg_taps_columns(g, t->offset, 4, t);
    } else { /* behind the first piece's line is another: that of the second piece, or one before it */
        mcg_taps_columns(g, 0, mcg_max(run, 4), t);
    }
}

/* Where a tap of a window is; NULL beside the map. */
static const int8_t *mcg_taps_pixel(const mcg_conv2d_t *g, const int8_t *x, int32_t ky, int32_t kx,
                                    int32_t oy, int32_t ox)
{
    const int32_t y = oy * g->stride_h - g->pad_top + ky * g->dilation_h;
    const int32_t column = ox * g->stride_w - g->pad_left + kx * g->dilation_w;
    const bool there = y >= 0 && y < g->in_h && column >= 0 && column < g->in_w;
    return there ? x + (y * g->in_w + column) * g->in_c : NULL;
}

/* The four bytes of a window, anywhere: of one tap or two, or one by one where taps are fewer bytes. Behind
 * the last weight they are of a tap that the kernel does not have. */
static uint32_t mcg_taps_bytes(const mcg_conv2d_t *g, const int8_t *x, const mcg_taps_t *t, int32_t oy,
                               int32_t ox)
{
    const uint32_t none = ((uint32_t)g->x_zero & 0xffU) * 0x01010101U;
    const int32_t behind = t->channel + 4 - g->in_c; /* bytes of the next tap */
    const int32_t ky = t->piece[0].ky;
    int32_t kx = t->column;
    int32_t channel = t->channel;
    uint32_t word = 0;
    if (g->in_c >= 4) {
        const int8_t *pixel = mcg_taps_pixel(g, x, ky, kx, oy, ox);
        if (behind <= 0) {
            return pixel == NULL ? none : mcg_load32(pixel + channel);
        }
        word = (pixel == NULL ? none : mcg_load32(pixel + g->in_c - 4)) >> (8 * behind);
        pixel = kx + 1 < g->k_w ? mcg_taps_pixel(g, x, ky, kx + 1, oy, ox)
                                : mcg_taps_pixel(g, x, ky + 1, 0, oy, ox);
        return word | (pixel == NULL ? none : mcg_load32(pixel)) << (32 - 8 * behind);
    }
    const int32_t line = g->in_w * g->in_c;
    const int32_t left = ox * g->stride_w - g->pad_left;
    int32_t at = left + kx * g->dilation_w;
    int32_t y = oy * g->stride_h - g->pad_top + ky * g->dilation_h;
    if (t->pieces == 1 && g->dilation_w == 1 && line >= 4) { /* side by side */
        const bool there = y >= 0 && y < g->in_h;
        return there ? mcg_pixels_word(x + y * line, line, left * g->in_c + t->offset, none) : none;
    }
    for (uint32_t shift = 0; shift < 32U; shift += 8U) {
        const bool there = y >= 0 && y < g->in_h && at >= 0 && at < g->in_w;
        word |= (there ? (uint32_t)(uint8_t)x[(y * g->in_w + at) * g->in_c + channel] : none & 0xffU)
                << shift;
        if (++channel == g->in_c) {
            channel = 0;
            at += g->dilation_w;
            if (++kx == g->k_w) {
                kx = 0;
                at = left;
                y += g->dilation_h;
            }
        }
    }
    return word;
}

/* The four bytes of a window that is there, from its pieces. */
static inline uint32_t mcg_taps_pieces(const int8_t *window, const mcg_taps_t *t, int32_t line)
{
    uint32_t word = 0;
    int32_t shift = 0;
    for (int32_t i = 0; i < t->pieces; i++) {
        const mcg_taps_piece_t piece = t->piece[i];
        const uint32_t mask = piece.count == 4 ? 0xffffffffU : ((uint32_t)1 << (8 * piece.count)) - 1U;
        word |= (mcg_load32(window + piece.ky * line + piece.from) & mask) << shift;
        shift += 8 * piece.count;
    }
    return word;
}

#if MCG_HAS_MVE
/* Words that wait for their neighbours, and how many. */
typedef struct {
    uint32_t *panel;
    int32_t waits;
    uint32_t word[4];
} mcg_taps_out_t;

static inline void mcg_taps_put(mcg_taps_out_t *out, uint32_t word)
{
    out->word[out->waits++] = word;
    if (out->waits == 4) {
        mcg_panel_swapped(out->word, out->panel, out->panel + 1, out->panel + 2, out->panel + 3);
        out->panel += 4;
        out->waits = 0;
    }
}

/* The same word `count` times: what is beside the map. */
static void mcg_taps_fill(mcg_taps_out_t *out, uint32_t none, int32_t count)
{
    for (; count > 0 && (out->waits != 0 || count < 4); count--) {
        mcg_taps_put(out, none);
    }
    for (; count >= 4; count -= 4) {
        for (int32_t i = 0; i < 4; i++) {
            *out->panel++ = none;
        }
    }
    for (; count > 0; count--) {
        mcg_taps_put(out, none);
    }
}

/* Words a step apart. */
static void mcg_taps_run(mcg_taps_out_t *out, const int8_t *x, int32_t step, int32_t count)
{
    for (; count > 0 && (out->waits != 0 || count < 4); count--) {
        mcg_taps_put(out, mcg_load32(x));
        x += step;
    }
    if (count >= 4) {
        mcg_panel_across(x, step, count / 4, out->panel, NULL);
        out->panel += count & ~3;
        x += (count & ~3) * step;
    }
    for (count &= 3; count > 0; count--) {
        mcg_taps_put(out, mcg_load32(x));
        x += step;
    }
}

/* Words of pieces. */
static void mcg_taps_joined(mcg_taps_out_t *out, const mcg_taps_t *t, const int8_t *window, int32_t line,
                            int32_t step, int32_t count)
{
    for (; count > 0; count--) {
        mcg_taps_put(out, mcg_taps_pieces(window, t, line));
        window += step;
    }
}

/* The last word, whatever is beyond it. */
static void mcg_taps_end(mcg_taps_out_t *out, uint32_t none)
{
    while (out->waits != 0) {
        mcg_taps_put(out, none);
    }
}
#else
/* Words that wait for their neighbour. */
typedef struct {
    uint32_t *panel;
    uint32_t word;
    uint32_t less;
    bool waits;
} mcg_taps_out_t;

static inline void mcg_taps_put(mcg_taps_out_t *out, uint32_t word)
{
    if (out->waits) {
        mcg_pixels_two(out->word, word, out->less, out->panel);
        out->panel += 4;
    }
    out->word = word;
    out->waits = !out->waits;
}

/* The same word `count` times: what is beside the map. */
static inline void mcg_taps_fill(mcg_taps_out_t *out, uint32_t none, int32_t count)
{
    if (out->waits && count > 0) {
        mcg_taps_put(out, none);
        count--;
    }
    out->panel = mcg_pixels_nothing(out->panel, count >> 1);
    if ((count & 1) != 0) {
        mcg_taps_put(out, none);
    }
}

/* Words a step apart. */
static inline void mcg_taps_run(mcg_taps_out_t *out, const int8_t *x, int32_t step, int32_t count)
{
    if (out->waits && count > 0) {
        mcg_taps_put(out, mcg_load32(x));
        x += step;
        count--;
    }
    if (count >= 2) {
        mcg_pixels_pairs(out->panel, x, step, count / 2, out->less);
        out->panel += 2 * (count & ~1);
        x += (count & ~1) * step;
    }
    if ((count & 1) != 0) {
        mcg_taps_put(out, mcg_load32(x));
    }
}

/* Words of pieces; most have two, of which the second shifts out what is beyond it. */
static void mcg_taps_joined(mcg_taps_out_t *out, const mcg_taps_t *t, const int8_t *window, int32_t line,
                            int32_t step, int32_t count)
{
    if (t->pieces == 2) {
        const uint32_t shift = 8U * (uint32_t)t->piece[0].count;
        const uint32_t mask = ((uint32_t)1 << shift) - 1U;
        const int8_t *first = window + t->piece[0].ky * line + t->piece[0].from;
        const int8_t *second = window + t->piece[1].ky * line;
        uint32_t *panel;
        if (out->waits && count > 0) {
            mcg_taps_put(out, (mcg_load32(first) & mask) | mcg_load32(second) << shift);
            first += step;
            second += step;
            count--;
        }
        panel = out->panel;
        for (; count >= 2; count -= 2) {
            const uint32_t a = (mcg_load32(first) & mask) | mcg_load32(second) << shift;
            const uint32_t b = (mcg_load32(first + step) & mask) | mcg_load32(second + step) << shift;
            mcg_pixels_two(a, b, out->less, panel);
            panel += 4;
            first += 2 * step;
            second += 2 * step;
        }
        out->panel = panel;
        if (count > 0) {
            mcg_taps_put(out, (mcg_load32(first) & mask) | mcg_load32(second) << shift);
        }
    } else {
        for (; count > 0; count--) {
            mcg_taps_put(out, mcg_taps_pieces(window, t, line));
            window += step;
        }
    }
}

/* The last word, with nothing beyond it. */
static void mcg_taps_end(mcg_taps_out_t *out, uint32_t none)
{
    if (out->waits) {
        mcg_taps_put(out, none);
    }
}
#endif

/* One line of outputs after the other; pixels from `ox` of line `oy` on. */
static void mcg_taps_lines(const mcg_conv2d_t *g, const int8_t *x, const mcg_taps_t *t, int32_t oy,
                           int32_t ox, int32_t pixels, mcg_taps_out_t *out)
{
    const uint32_t none = ((uint32_t)g->x_zero & 0xffU) * 0x01010101U;
    const int32_t lower = t->piece[0].ky * g->dilation_h;
    const int32_t upper = t->piece[t->pieces - 1].ky * g->dilation_h;
    const int32_t step = g->stride_w * g->in_c;
    const int32_t line = g->in_w * g->in_c;
    int32_t top = oy * g->stride_h - g->pad_top;
    int32_t window = top * line - g->pad_left * g->in_c; /* of the first column of outputs */
    for (; pixels > 0; oy++) {
        const int32_t last = mcg_min(g->out_w, ox + pixels);
        const bool rows = top + lower >= 0 && top + upper < g->in_h;
        const int32_t begin = rows ? mcg_clamp(t->begin, ox, last) : last;
        const int32_t end = rows ? mcg_clamp(t->end, begin, last) : last;
        pixels -= last - ox;
        if (t->tap || top + upper < 0 || top + lower >= g->in_h) {
            mcg_taps_fill(out, none, begin - ox);
        } else {
            for (; ox < begin; ox++) {
                mcg_taps_put(out, mcg_taps_bytes(g, x, t, oy, ox));
            }
        }
        if (t->pieces == 1) { /* of what is behind the last weight, anything may be taken */
            mcg_taps_run(out, x + window + lower * line + begin * step + t->offset, step, end - begin);
        } else {
            mcg_taps_joined(out, t, x + window + begin * step, g->dilation_h * line, step, end - begin);
        }
        if (t->tap) {
            mcg_taps_fill(out, none, last - end);
        } else {
            for (ox = end; ox < last; ox++) {
                mcg_taps_put(out, mcg_taps_bytes(g, x, t, oy, ox));
            }
        }
        ox = 0;
        top += g->stride_h;
        window += g->stride_h * line;
    }
}

#if !MCG_HAS_MVE
/* Whole lines of an even number of outputs, where the weights are four channels of one tap: pairs of pixels
 * lie in each line as in the first. */
static void mcg_taps_even(const mcg_conv2d_t *g, const int8_t *x, const mcg_taps_t *t, int32_t oy,
                          int32_t lines, uint32_t none, uint32_t *panel)
{
    const uint32_t less = mcg_halves(-g->x_zero, -g->x_zero);
    const int32_t step = g->stride_w * g->in_c;
    const int32_t line = g->in_w * g->in_c;
    const int32_t count = t->end - t->begin;
    const int32_t left = count == 0 ? 0 : t->begin & 1; /* a pixel that is there beside one that is not */
    const int32_t pairs = (count - left) >> 1;
    const int32_t right = (count - left) & 1;
    const int32_t before = count == 0 ? g->out_w >> 1 : t->begin >> 1;
    const int32_t behind = (g->out_w >> 1) - before - left - pairs - right;
    int32_t y = oy * g->stride_h + t->piece[0].ky * g->dilation_h - g->pad_top;
    int32_t place = y * line + t->offset - g->pad_left * g->in_c + t->begin * step;
    for (; lines > 0; lines--) {
        if (y < 0 || y >= g->in_h) {
            panel = mcg_pixels_nothing(panel, g->out_w >> 1);
        } else {
            const int8_t *at = x + place;
            panel = mcg_pixels_nothing(panel, before);
            if (left != 0) {
                mcg_pixels_two(none, mcg_load32(at), less, panel);
                panel += 4;
                at += step;
            }
            if (pairs != 0) {
                mcg_pixels_pairs(panel, at, step, pairs, less);
                panel += 4 * pairs;
                at += 2 * pairs * step;
            }
            if (right != 0) {
                mcg_pixels_two(mcg_load32(at), none, less, panel);
                panel += 4;
            }
            panel = mcg_pixels_nothing(panel, behind);
        }
        y += g->stride_h;
        place += g->stride_h * line;
    }
}
#endif

/* All lines, where the weights are four channels of one tap. */
static void mcg_taps_all(const mcg_conv2d_t *g, const int8_t *x, const mcg_taps_t *t, mcg_taps_out_t *out)
{
    const uint32_t none = ((uint32_t)g->x_zero & 0xffU) * 0x01010101U;
    const int32_t step = g->stride_w * g->in_c;
    const int32_t line = g->in_w * g->in_c;
    const int32_t count = t->end - t->begin;
    int32_t y = t->piece[0].ky * g->dilation_h - g->pad_top;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        if (y < 0 || y >= g->in_h || count == 0) {
            mcg_taps_fill(out, none, g->out_w);
        } else {
            mcg_taps_fill(out, none, t->begin);
            mcg_taps_run(out, x + (y * line + t->offset - g->pad_left * g->in_c + t->begin * step), step,
                         count);
            mcg_taps_fill(out, none, g->out_w - t->end);
        }
        y += g->stride_h;
    }
}

void mcg_panel_taps(const mcg_conv2d_t *g, const int8_t *x, int32_t k, int32_t pixel, int32_t pixels,
                    uint32_t *panel)
{
    const uint32_t none = ((uint32_t)g->x_zero & 0xffU) * 0x01010101U;
#if MCG_HAS_MVE
    mcg_taps_out_t out = {panel, 0, {0, 0, 0, 0}};
#else
    mcg_taps_out_t out = {panel, 0, mcg_halves(-g->x_zero, -g->x_zero), false};
#endif
    const int32_t oy = pixel / g->out_w;
    mcg_taps_t t;
    if (g->k_h * g->k_w == 1 && g->stride_h == 1 && g->stride_w == 1 && g->in_w == g->out_w &&
        g->in_h ==
            g->out_h) { /* every window is a pixel; words of the last ones might reach behind the map */
        const int32_t at = pixel * g->in_c + k;
        const int32_t behind = at + 4 - g->in_h * g->in_w * g->in_c; /* of a word of the first pixel */
        const int32_t count = behind > 0 ? 0 : mcg_min(pixels, -behind / g->in_c + 1);
        mcg_taps_run(&out, x + at, g->in_c, count);
        if (count != pixels) {
            mcg_taps_of(g, k, &t);
            for (int32_t i = pixel + count; i < pixel + pixels; i++) {
                mcg_taps_put(&out, mcg_taps_bytes(g, x, &t, i / g->out_w, i % g->out_w));
            }
        }
    } else {
        mcg_taps_of(g, k, &t);
#if !MCG_HAS_MVE
        if (t.tap && (g->out_w & 1) == 0 && pixel == oy * g->out_w && pixels % g->out_w == 0) {
            mcg_taps_even(g, x, &t, oy, pixels / g->out_w, none, panel);
            return;
        }
#endif
        if (t.tap && pixels == g->out_h * g->out_w) {
            mcg_taps_all(g, x, &t, &out);
        } else {
            mcg_taps_lines(g, x, &t, oy, pixel - oy * g->out_w, pixels, &out);
        }
    }
    mcg_taps_end(&out, none);
}
