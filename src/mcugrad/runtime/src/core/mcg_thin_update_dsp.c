/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

#if !MCG_HAS_MVE

/* Words of what is known of a row, and steps that a part of the pixels is worth. */
#define MCG_THIN_ROW ((int32_t)(sizeof(mcg_panel_row_t) / sizeof(uint32_t)))
#define MCG_THIN_PART 16

/* Errors of each channel by themselves, as halves of words, with zeros around them as far as any tap reaches;
 * rows, and panels of as many lines of input pixels as there is room for. */
typedef struct {
    mcg_panel_row_t *base, *row; /* of channels, and of their taps */
    int32_t *sums;
    uint32_t *b, *a;
    uint8_t *errors;
    int32_t top, left;     /* error that is the first, at most 0 */
    int32_t width, height; /* in errors */
    int32_t room;          /* words for sums and panels */
    int32_t most;          /* kernel rows of a kind at a time */
} mcg_thin_gradient_t;

/* How far taps reach along an axis, and the most that reach a pixel. */
static int32_t mcg_thin_reach(int32_t in, int32_t kernel, int32_t stride, int32_t pad, int32_t out,
                              int32_t *first, int32_t *size)
{
    int32_t end = out;
    int32_t most = 0;
    *first = 0;
    for (int32_t f = 0; f < stride; f++) {
        mcg_panel_axis_t a;
        mcg_panel_axis(f, in, kernel, stride, pad, 1, &a);
        *first = mcg_min(*first, a.at - (a.taps - 1));
        end = mcg_max(end, a.at + a.count);
        most = mcg_max(most, a.taps);
    }
    *size = end - *first;
    return most;
}

/* Lines of input pixels that panels hold at a time. */
static int32_t mcg_thin_lines(const mcg_thin_gradient_t *p, int32_t rows, int32_t fours, int32_t lines,
                              int32_t steps)
{
    const int32_t each = ((rows + 1) & ~1) + 4; /* words of panels for each step */
    const int32_t sums = 4 * ((rows + 1) & ~1);
    if (sums + mcg_max(lines * steps, 2) * each <= p->room) {
        return lines;
    }
    /* Panels have two steps at least. */
    return p->room < sums * fours + 2 * each ? 0 : (p->room - sums * fours) / (each * steps);
}

/* Errors of a channel after the other. */
static void mcg_thin_planes(const mcg_conv2d_t *g, const int8_t *e, int32_t channels,
                            const mcg_thin_gradient_t *p)
{
    const int32_t plane = 2 * p->height * p->width;
    uint8_t *clear = p->errors;
    for (uint8_t *const end = clear + ((channels * plane + 7) & ~3); clear != end; clear += 4) {
        mcg_store32(clear, 0);
    }
    for (int32_t k = 0; k < channels; k++) {
        const int8_t *from = e + k;
        uint8_t *line = p->errors + k * plane - 2 * (p->top * p->width + p->left);
        for (int32_t y = 0; y < g->out_h; y++) {
            uint8_t *to = line;
            for (uint8_t *const end = to + 2 * g->out_w; to != end; to += 2) {
                const int16_t half = *from;
                __builtin_memcpy(to, &half, sizeof half);
                from += channels;
            }
            line += 2 * p->width;
        }
    }
}

/* Errors that a tap of some lines of pixels meets: a row of a panel of two. */
static void mcg_thin_row(const uint8_t *from, int32_t pitch, int32_t lines, int32_t words, uint32_t *to)
{
    for (; lines > 0; lines--) {
        const uint8_t *at = from;
        for (const uint8_t *const end = at + 4 * words; at != end; at += 4) {
            *to = mcg_load32(at);
            to += 2;
        }
        from += pitch;
    }
}

/* Of all rows of a kind, which are taps of channels. */
static void mcg_thin_rows(const mcg_panel_axis_t *v, const mcg_panel_axis_t *u, int32_t channels, int32_t y,
                          int32_t lines, int32_t steps, const mcg_thin_gradient_t *p)
{
    const int32_t words = (u->count + 1) >> 1;
    const int32_t rows = v->taps * u->taps * channels;
    int32_t r = 0;
    for (int32_t i = 0; i < 2 * ((rows + 1) >> 1) * steps; i++) {
        p->a[i] = 0;
    }
    for (int32_t i = 0; i < v->taps; i++) {
        for (int32_t j = 0; j < u->taps; j++) {
            const uint8_t *from = p->errors + 2 * ((v->at + y - i - p->top) * p->width + u->at - j - p->left);
            for (int32_t k = 0; k < channels; k++) {
                mcg_thin_row(from, 2 * p->width, lines, words, p->a + (r >> 1) * 2 * steps + (r & 1));
                from += 2 * p->height * p->width;
                r++;
            }
        }
    }
}

/* Four channels of some lines of pixels of a kind, as a panel of four columns. */
static void mcg_thin_columns(const mcg_conv2d_t *g, const mcg_panel_axis_t *v, const mcg_panel_axis_t *u,
                             const int8_t *x, int32_t y, int32_t lines, int32_t steps, uint32_t *b)
{
    const uint32_t less = mcg_halves(-g->x_zero, -g->x_zero);
    const uint32_t none = ((uint32_t)g->x_zero & 0xffU) * 0x01010101U;
    const int32_t step = g->stride_w * g->in_c;
    const int32_t pairs = u->count >> 1;
    uint32_t *const end = b + 4 * steps;
    x += ((v->first + y * g->stride_h) * g->in_w + u->first) * g->in_c;
    if (g->stride_h == 1 && g->stride_w == 1 && (g->in_w & 1) == 0) { /* lines next to each other */
        mcg_pixels_pairs(b, x, step, lines * pairs, less);
        b += 4 * lines * pairs;
        lines = 0;
    }
    for (; lines > 0; lines--) {
        if (pairs > 0) {
            mcg_pixels_pairs(b, x, step, pairs, less);
            b += 4 * pairs;
        }
        if ((u->count & 1) != 0) {
            mcg_pixels_two(mcg_load32(x + 2 * pairs * step), none, less, b);
            b += 4;
        }
        x += g->stride_h * g->in_w * g->in_c;
    }
    for (; b != end; b++) {
        *b = 0;
    }
}

static void mcg_thin_clear(int32_t *sums, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        sums[i] = 0;
    }
}

/* What is known of the rows of a kind. */
static void mcg_thin_begin(const mcg_conv2d_t *g, const mcg_panel_axis_t *v, const mcg_panel_axis_t *u,
                           int32_t channels, int32_t bits, const mcg_thin_gradient_t *p)
{
    mcg_panel_row_t *row = p->row;
    for (int32_t i = 0; i < v->taps; i++) {
        for (int32_t j = 0; j < u->taps; j++) {
            const int32_t from = ((v->tap + i * v->step) * g->k_w + u->tap + j * u->step) * g->in_c;
            for (int32_t k = 0; k < channels; k++) {
                *row = p->base[k];
                row->w += from;
                row->residual += (from * bits) >> 3;
                row->counter += (uint32_t)from / 4U * MCG_COUNTER_STEP;
                row++;
            }
        }
    }
}

/* All weights that pixels of one kind have a part in. */
static void mcg_thin_of_kind(const mcg_conv2d_t *g, const mcg_panel_axis_t *v, const mcg_panel_axis_t *u,
                             const int8_t *x, int32_t channels, const mcg_rule_t *rule, int8_t *w,
                             uint8_t *residual, mcg_thin_gradient_t *p)
{
    const int32_t rows = v->taps * u->taps * channels;
    const int32_t fours = g->in_c >> 2;
    const int32_t size = 4 * ((rows + 1) & ~1);
    const int32_t words = (u->count + 1) >> 1;
    const int32_t lines = mcg_thin_lines(p, rows, fours, v->count, words);
    const bool whole = lines == v->count;
    mcg_thin_begin(g, v, u, channels, rule->residual_bits, p);
    p->b = (uint32_t *)p->sums + (whole ? size : size * fours);
    p->a = p->b + 4 * mcg_max(lines * words, 2);
    mcg_thin_clear(p->sums, whole ? 0 : size * fours);
    for (int32_t y = 0; y < v->count; y += lines) {
        const int32_t some = mcg_min(lines, v->count - y);
        const int32_t steps = mcg_max(some * words, 2);
        mcg_thin_rows(v, u, channels, y, some, steps, p);
        for (int32_t i = 0; i < fours; i++) {
            int32_t *const sums = whole ? p->sums : p->sums + size * i;
            const mcg_products_run_t run = {p->b + 4 * steps, sums, sums, sums + size, steps};
            mcg_thin_clear(sums, whole ? size : 0);
            mcg_thin_columns(g, v, u, x + 4 * i, y, some, steps, p->b);
            mcg_panel_products(p->a, p->b, &run);
            if (y + some == v->count) {
                mcg_panel_step(sums, rows, 4 * i, 4, rule, w, residual, p->row);
            }
        }
    }
    for (int32_t r = 0; r < rows; r += channels) {
        for (int32_t k = 0; k < channels; k++) {
            p->base[k].saturated |= p->row[r + k].saturated;
        }
    }
}

/* Where all lies, with so many rows, which are taps of channels; false where there is no room. */
static bool mcg_thin_fits(const mcg_conv2d_t *g, int32_t channels, int32_t rows, int32_t room,
                          uint32_t *scratch, mcg_thin_gradient_t *p)
{
    const int32_t known = MCG_THIN_ROW * (channels + rows);
    const int32_t errors = (2 * channels * p->height * p->width + 7) / 4;
    /* What the kind with most pixels has room for, all have. */
    const int32_t lines = (g->in_h + g->stride_h - 1) / g->stride_h;
    const int32_t words = ((g->in_w + g->stride_w - 1) / g->stride_w + 1) >> 1;
    int32_t some;
    p->room = room / 4 - known - errors;
    if (p->room <= 0) {
        return false;
    }
    p->base = (mcg_panel_row_t *)scratch;
    p->row = p->base + channels;
    p->errors = (uint8_t *)(scratch + known);
    p->sums = (int32_t *)scratch + known + errors;
    some = mcg_thin_lines(p, rows, g->in_c >> 2, lines, words);
    return some == lines || some * words >= MCG_THIN_PART;
}

/* The same with all kernel rows of a kind, or with one of them. */
static bool mcg_thin_room(const mcg_conv2d_t *g, int32_t channels, int32_t room, uint32_t *scratch,
                          mcg_thin_gradient_t *p)
{
    const int32_t down =
        mcg_thin_reach(g->in_h, g->k_h, g->stride_h, g->pad_top, g->out_h, &p->top, &p->height);
    const int32_t across =
        mcg_thin_reach(g->in_w, g->k_w, g->stride_w, g->pad_left, g->out_w, &p->left, &p->width);
    p->most = down;
    if (mcg_thin_fits(g, channels, down * across * channels, room, scratch, p)) {
        return true;
    }
    p->most = 1;
    return mcg_thin_fits(g, channels, across * channels, room, scratch, p);
}

MCG_APART
bool mcg_thin_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                     const mcg_scale_t *factor, const mcg_rule_t *rule, uint32_t stream, int8_t *w,
                     uint8_t *residual, float *w_scale, int32_t room, uint32_t *scratch)
{
    const int32_t channels = mcg_active_count(active, g->out_c);
    const int32_t weights = g->k_h * g->k_w * g->in_c;
    mcg_thin_gradient_t p;
    if (channels == 0 || g->k_h * g->k_w == 1 || (g->in_c & 3) != 0 || g->dilation_h != 1 ||
        g->dilation_w != 1 || !mcg_thin_room(g, channels, room, scratch, &p)) {
        return false;
    }
    mcg_panel_begin(channels, active, 0, weights, g->out_h * g->out_w, factor, rule, stream, p.base);
    mcg_thin_planes(g, e, channels, &p);
    for (int32_t fy = 0; fy < g->stride_h; fy++) {
        mcg_panel_axis_t v;
        mcg_panel_axis(fy, g->in_h, g->k_h, g->stride_h, g->pad_top, 1, &v);
        for (int32_t fx = 0; fx < g->stride_w; fx++) {
            mcg_panel_axis_t u;
            mcg_panel_axis(fx, g->in_w, g->k_w, g->stride_w, g->pad_left, 1, &u);
            /* Where strides are larger than the map, some kinds have taps and no pixel. */
            const int32_t taps = u.taps * u.count * v.count == 0 ? 0 : v.taps;
            for (int32_t i = 0; i < taps; i += p.most) {
                const mcg_panel_axis_t some = {
                    v.first,  v.count, v.tap + i * v.step, v.step, mcg_min(v.taps - i, p.most),
                    v.at - i, v.apart};
                mcg_thin_of_kind(g, &some, &u, x, channels, rule, w, residual, &p);
            }
        }
    }
    mcg_panel_end(channels, active, 0, weights, rule, p.base, w, residual, w_scale);
    return true;
}
#endif
