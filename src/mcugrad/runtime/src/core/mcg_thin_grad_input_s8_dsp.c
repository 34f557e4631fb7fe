/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

#if !MCG_HAS_MVE

/* Where all lies: errors as halves of words, with zeros around them as far as any window reaches, and panels
 * of the kind of input pixels that most taps reach. */
typedef struct {
    uint8_t *errors;
    int32_t top, left; /* error that is the first of them, at most 0 */
    int32_t width;     /* in errors */
    int32_t pitch;     /* bytes of a row */
    int32_t words;     /* of all */
    int32_t *factor;
    uint32_t *b, *a;
    bool shifted; /* whether weights are, by what factors ask for */
    bool halves;  /* whether no error can be beyond 16 bits */
} mcg_thin_plan_t;

/* How far windows reach, and words of a weight's row and of all errors. */
static int32_t mcg_thin_sizes(const mcg_conv2d_t *g, int32_t channels, mcg_thin_plan_t *p)
{
    int32_t bottom = g->out_h;
    int32_t right = g->out_w;
    int32_t rows = 0;
    int32_t columns = 0;
    p->top = 0;
    p->left = 0;
    for (int32_t f = 0; f < g->stride_h; f++) {
        mcg_panel_axis_t v;
        mcg_panel_axis(f, g->in_h, g->k_h, g->stride_h, g->pad_top, 1, &v);
        p->top = mcg_min(p->top, v.at - (v.taps - 1));
        bottom = mcg_max(bottom, v.at + v.count);
        rows = mcg_max(rows, v.taps);
    }
    for (int32_t f = 0; f < g->stride_w; f++) {
        mcg_panel_axis_t u;
        mcg_panel_axis(f, g->in_w, g->k_w, g->stride_w, g->pad_left, 1, &u);
        p->left = mcg_min(p->left, u.at - (u.taps - 1));
        right = mcg_max(right, u.at + u.count);
        columns = mcg_max(columns, u.taps);
    }
    p->width = right - p->left;
    p->pitch = 2 * p->width * channels;
    p->words = ((bottom - p->top) * p->pitch + 7) / 4; /* one more may be read, and counts nothing */
    return rows * ((columns * channels + 1) / 2);
}

/* False where there is no room. */
static bool mcg_thin_plan(const mcg_conv2d_t *g, int32_t channels, int32_t room, uint32_t *scratch,
                          mcg_thin_plan_t *p)
{
    const int32_t steps = mcg_thin_sizes(g, channels, p);
    if (4 * (g->in_c + (2 + g->in_c) * steps + p->words) > room) {
        return false;
    }
    p->factor = (int32_t *)scratch;
    p->b = scratch + g->in_c;
    p->a = p->b + 2 * steps;
    p->errors = (uint8_t *)(p->a + g->in_c * steps);
    return true;
}

/* Bytes as halves. */
static void mcg_thin_widen(const int8_t *e, int32_t count, uint8_t *to)
{
    const int8_t *const end = e + count;
    for (const int8_t *const whole = e + (count & ~3); e != whole; e += 4) {
        const uint32_t word = mcg_load32(e);
        const uint32_t even = mcg_sxtb16(word);
        const uint32_t odd = mcg_sxtb16_odd(word);
        mcg_store32(to, mcg_pkhbt(even, odd));
        mcg_store32(to + 4, mcg_pkhtb(even, odd));
        to += 8;
    }
    for (; e != end; e++) {
        const int16_t half = *e;
        __builtin_memcpy(to, &half, sizeof half);
        to += sizeof half;
    }
}

static void mcg_thin_place(const mcg_conv2d_t *g, const int8_t *e, int32_t channels, const mcg_thin_plan_t *p)
{
    const int32_t line = g->out_w * channels;
    uint8_t *to = p->errors - p->top * p->pitch - 2 * p->left * channels;
    uint8_t *clear = p->errors;
    for (uint8_t *const end = clear + 4 * p->words; clear != end; clear += 4) {
        mcg_store32(clear, 0);
    }
    for (int32_t y = 0; y < g->out_h; y++) {
        mcg_thin_widen(e, line, to);
        e += line;
        to += p->pitch;
    }
}

/* Weights of a kind, two terms a word: [four input channels][step][4]. */
static void mcg_thin_turned(const mcg_turned_t *t, int32_t in_c, int32_t steps, uint32_t *a)
{
    const uint32_t less = mcg_halves(-t->zero, -t->zero);
    const uint32_t none = ((uint32_t)t->zero & 0xffU) * 0x01010101U;
    const int8_t *row = t->w;
    for (int32_t r = 0; r < t->rows; r++) {
        const int8_t *tap = row;
        int32_t column = 0;
        int32_t k = 0;
        while (column < t->columns) {
            const int8_t *term[2] = {NULL, NULL};
            for (int32_t i = 0; i < 2 && column < t->columns; i++) {
                term[i] = tap + t->active[1 + k] * t->taps;
                if (++k == t->count) {
                    k = 0;
                    column++;
                    tap += t->column_step;
                }
            }
            for (int32_t c = 0; c < in_c; c += 4) {
                mcg_pixels_two(mcg_load32(term[0] + c), term[1] == NULL ? none : mcg_load32(term[1] + c),
                               less, a + c * steps);
            }
            a += 4;
        }
        row += t->row_step;
    }
}

/* The same times what sums are to be shifted by. */
static void mcg_thin_shifted(const mcg_scale_t *scale, int32_t in_c, int32_t steps, uint32_t *a)
{
    for (int32_t c = 0; c < in_c; c++) {
        const int32_t times = (int32_t)1 << scale[c].pre;
        uint32_t *const row = a + (c & ~3) * steps + (c & 3);
        for (int32_t k = 0; k < 4 * steps; k += 4) {
            row[k] = mcg_halves(mcg_half(row[k], 0) * times, mcg_half(row[k], 1) * times);
        }
    }
}

/* Factors of all channels; false where a sum might have to be clamped before it is shifted, or a shifted
 * weight is beyond 16 bits. */
static bool mcg_thin_factors(const mcg_scale_t *scale, int32_t in_c, float largest, mcg_thin_plan_t *p)
{
    const int32_t most = mcg_min(mcg_panel_pre(largest), 7);
    int32_t pre = 0;
    for (int32_t c = 0; c < in_c; c++) {
        pre = mcg_max(pre, scale[c].pre);
    }
    p->shifted = pre > 0;
    p->halves = mcg_panel_factors(scale, in_c, largest, p->factor);
    return pre <= most;
}

/* Windows of two pixels, as a panel of two columns. */
static void mcg_thin_windows(const uint8_t *from, int32_t pitch, int32_t other, int32_t rows, int32_t words,
                             uint32_t *b)
{
    for (; rows > 0; rows--) {
        const uint8_t *at = from;
        for (const uint8_t *const end = at + 4 * words; at != end; at += 4) {
            b[0] = mcg_load32(at);
            b[1] = mcg_load32(at + other);
            b += 2;
        }
        from += pitch;
    }
}

/* Errors of all input pixels of one kind, two by two: where a line's number of them is odd, its last one and
 * the first of the next line; the last of all is made twice. */
static void mcg_thin_kind(const mcg_conv2d_t *g, const mcg_panel_axis_t *v, const mcg_panel_axis_t *u,
                          int32_t channels, const mcg_thin_plan_t *p, mcg_panel_error_t *how)
{
    const int32_t words = (u->taps * channels + 1) / 2;
    const int32_t over = 2 * channels; /* from window to window */
    const int32_t next = g->stride_w * g->in_c;
    const int32_t down = g->stride_h * g->in_w * g->in_c;
    const uint8_t *line =
        p->errors + (v->at - (v->taps - 1) - p->top) * p->pitch + (u->at - (u->taps - 1) - p->left) * over;
    int32_t place = (v->first * g->in_w + u->first) * g->in_c;
    int32_t begin = 0;
    mcg_thin_run_t run = {p->b,
                          v->taps * words,
                          p->b + 2 * v->taps * words,
                          p->factor,
                          NULL,
                          NULL,
                          0,
                          NULL,
                          how->low,
                          how->high,
                          0,
                          0};
    for (int32_t y = 0; y < v->count; y++) {
        int32_t x = begin;
        for (; x < u->count; x += 2) {
            int32_t other = over;
            run.apart = next;
            if (x + 1 == u->count) {
                const bool more = y + 1 < v->count;
                other = more ? p->pitch - x * over : 0;
                run.apart = more ? down - x * next : 0;
            }
            mcg_thin_windows(line + x * over, p->pitch, other, v->taps, words, p->b);
            run.x = how->x + place + x * next;
            run.x_end = run.x + g->in_c;
            run.e = how->e + place + x * next;
            mcg_thin_errors(p->a, &run, p->halves, how);
        }
        begin = x - u->count;
        line += p->pitch;
        place += down;
    }
}

MCG_APART
bool mcg_thin_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                            const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                            const int32_t *clip, int8_t *e_x, int32_t *peak, int32_t room, uint32_t *scratch)
{
    const int32_t channels = mcg_active_count(active, g->out_c);
    const int32_t zero = w_zero == NULL ? 0 : *w_zero;
    const float largest = (float)(g->k_h * g->k_w * channels) * 127.0F * (zero == 0 ? 128.0F : 255.0F);
    mcg_panel_error_t how = {scale, clip, x, e_x, g->x_zero, 0, 0, 0, 0, {0, 0}, -1, false};
    mcg_thin_plan_t p;
    mcg_panel_error_bounds(&how);
    if (channels == 0 || (g->in_c & 3) != 0 || g->dilation_h != 1 || g->dilation_w != 1 || how.kind == 0 ||
        !mcg_thin_plan(g, channels, room, scratch, &p) || !mcg_thin_factors(scale, g->in_c, largest, &p)) {
        return false;
    }
    mcg_thin_place(g, e, channels, &p);
    for (int32_t fy = 0; fy < g->stride_h; fy++) {
        mcg_panel_axis_t v;
        mcg_panel_axis(fy, g->in_h, g->k_h, g->stride_h, g->pad_top, 1, &v);
        for (int32_t fx = 0; fx < g->stride_w; fx++) {
            mcg_panel_axis_t u;
            mcg_panel_axis(fx, g->in_w, g->k_w, g->stride_w, g->pad_left, 1, &u);
            if (v.taps * u.taps == 0) {
                mcg_panel_nothing(g, &v, &u, e_x);
            } else {
                const mcg_turned_t t = {
                    w + ((v.tap + (v.taps - 1) * v.step) * g->k_w + u.tap + (u.taps - 1) * u.step) * g->in_c,
                    active,
                    channels,
                    g->k_h * g->k_w * g->in_c,
                    v.taps,
                    u.taps,
                    -v.step * g->k_w * g->in_c,
                    -u.step * g->in_c,
                    zero};
                const int32_t steps = v.taps * ((u.taps * channels + 1) / 2);
                mcg_thin_turned(&t, g->in_c, steps, p.a);
                if (p.shifted) {
                    mcg_thin_shifted(scale, g->in_c, steps, p.a);
                }
                mcg_thin_kind(g, &v, &u, channels, &p, &how);
            }
        }
    }
    *peak = mcg_panel_error_peak(&how);
    return true;
}
#endif
