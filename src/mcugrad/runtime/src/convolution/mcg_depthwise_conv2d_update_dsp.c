/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Planes of errors and of inputs, and what is known of four channels. */
typedef struct {
    mcg_plane_axes_t x_axes;
    mcg_plane_band_t e, x;
    mcg_panel_row_t *row;
    int32_t *sums;  /* as mcg_panel_step has them */
    int32_t *some;  /* as they are made: [group of taps][channel][kernel row][3] */
    int32_t *place; /* where those of the first channel are among the others */
    int32_t groups; /* threes of taps of a row; single taps where they are no neighbours */
    int32_t taps;
} mcg_planes_t;

/* What of a map of errors is other than of a map of inputs. */
typedef struct {
    int32_t in_h, in_w, pad_left, x_zero, odd, in_row, in_column;
} mcg_planes_of_t;

/* Takes the one for the other: a copy of all axes would be a call for some compilers, and stay on the stack.
 */
static void mcg_planes_swap(mcg_plane_axes_t *axes, mcg_planes_of_t *of)
{
    const mcg_planes_of_t old = {axes->g.in_h, axes->g.in_w, axes->g.pad_left, axes->g.x_zero,
                                 axes->odd,    axes->in_row, axes->in_column};
    axes->g.in_h = of->in_h;
    axes->g.in_w = of->in_w;
    axes->g.pad_left = of->pad_left;
    axes->g.x_zero = of->x_zero;
    axes->odd = of->odd;
    axes->in_row = of->in_row;
    axes->in_column = of->in_column;
    *of = old;
}

/* That of errors of some channels: pixels without borders. */
static mcg_planes_of_t mcg_planes_errors(const mcg_plane_axes_t *axes, int32_t channels)
{
    const mcg_conv2d_t *const g = &axes->g;
    const mcg_planes_of_t of = {g->out_h,
                                g->out_w,
                                0,
                                0,
                                0,
                                axes->turned ? channels : g->out_w * channels,
                                axes->turned ? g->out_h * channels : channels};
    return of;
}

/* As many rows of errors at a time as there is room for; false where it is not enough for one. */
MCG_APART static bool mcg_planes_room(int32_t words, uint32_t *from, mcg_planes_t *p)
{
    const mcg_conv2d_t *g = &p->x_axes.g;
    const int32_t left = -(g->pad_left + p->x_axes.odd);
    const int32_t reach = p->x_axes.odd + (g->k_w - 1) * g->dilation_w;
    const int32_t read = (g->stride_w * (g->out_w - 1) + reach) / 2 + 1;
    const int32_t begin = left < 0 ? mcg_min(-left / 2, read) : 0;
    const int32_t last = mcg_clamp((g->in_w - left + 1) / 2, begin, read);
    const int32_t e_words = ((g->out_w + 1) / 2 + 1) & ~1;
    const int32_t x_words = mcg_max(read - begin, last);
    const int32_t beyond = begin + reach / 2 + g->stride_w * e_words + 3;
    const int32_t lines = (g->k_h - 1) * g->dilation_h + 1 - g->stride_h;
    const int32_t groups = g->dilation_w == 1 ? (g->k_w + 2) / 3 : g->k_w;
    const int32_t places = 3 * groups * g->k_h;
    /* Rows, sums, four at which nobody looks, and sums as they are made. */
    const int32_t of_channel = (int32_t)(sizeof(mcg_panel_row_t) / 4) + mcg_up4(p->taps) + 4 + places;
    const int32_t known = MCG_PLANE_CHANNELS * of_channel + places;
    const int32_t more = MCG_PLANE_CHANNELS * (e_words + g->stride_h * x_words);
    const int32_t rest = words - known - beyond - MCG_PLANE_CHANNELS * lines * x_words;
    const int32_t rows = rest < more ? 0 : mcg_min(rest / more, g->out_h);
    p->row = (mcg_panel_row_t *)from;
    p->sums = (int32_t *)(p->row + MCG_PLANE_CHANNELS);
    p->e.rows = rows;
    p->e.words = e_words;
    p->e.lines = rows;
    p->e.begin = 0;
    p->e.there = g->out_w / 2;
    p->groups = groups;
    p->place = p->sums + MCG_PLANE_CHANNELS * (mcg_up4(p->taps) + 4);
    p->some = p->place + places;
    p->e.plane = (uint32_t *)p->some + MCG_PLANE_CHANNELS * places;
    p->x.rows = rows;
    p->x.words = x_words;
    p->x.lines = lines + rows * g->stride_h;
    p->x.begin = begin;
    p->x.there = mcg_clamp((g->in_w - left) / 2, begin, x_words) - begin;
    p->x.plane = p->e.plane + MCG_PLANE_CHANNELS * rows * e_words;
    return rows != 0;
}

/* Where sums go; beyond the last tap of a row, where nobody looks. */
MCG_APART static void mcg_planes_places(const mcg_planes_t *p)
{
    const mcg_conv2d_t *g = &p->x_axes.g;
    const int32_t some = g->dilation_w == 1 ? 3 : 1;
    int32_t *place = p->place;
    for (int32_t kx = 0; kx < g->k_w; kx += some) {
        for (int32_t ky = 0; ky < g->k_h; ky++) {
            for (int32_t i = 0; i < 3; i++) {
                const bool is_tap = i < some && kx + i < g->k_w;
                const int32_t k =
                    p->x_axes.tap_first + ky * p->x_axes.tap_row + (kx + i) * p->x_axes.tap_column;
                const int32_t to = is_tap ? k : mcg_up4(p->taps);
                *place++ = (to & ~3) * MCG_PLANE_CHANNELS + (to & 3);
            }
        }
    }
}

/* How words of errors from one on go, so many of a row, with their inputs. */
static void mcg_planes_walk(const mcg_planes_t *p, int32_t rows, int32_t count, mcg_plane_walk_t *walk)
{
    const mcg_conv2d_t *g = &p->x_axes.g;
    const int32_t pitch = g->stride_h * p->x.words;
    walk->pitch = 4 * p->e.words;
    walk->e_skip = walk->pitch - 4 * count;
    walk->x_skip = 4 * (pitch - g->stride_w * count);
    walk->all = (rows - 1) * walk->pitch;
    walk->on = 4 * (g->dilation_h * p->x.words - (rows - 1) * pitch - g->stride_w * count);
    walk->e_plane = 4 * p->e.lines * p->e.words;
    walk->x_plane = 4 * (p->x.lines - g->k_h * g->dilation_h) * p->x.words;
    walk->size = 12 * g->k_h;
}

/* Sums of some words of errors of a row, by kind, with taps from `at` on; of the channels from `skip` on. */
static void mcg_planes_products(const mcg_planes_t *p, int32_t kind, int32_t word, int32_t count, int32_t at,
                                int32_t skip, int32_t rows, int32_t *sums)
{
    const int32_t stride = p->x_axes.g.stride_w;
    const uint32_t *const e = p->e.plane + skip * p->e.lines * p->e.words + word;
    const uint32_t *const x = p->x.plane + skip * p->x.lines * p->x.words + (at >> 1) + stride * word;
    const uint32_t *const end = e + count;
    mcg_plane_walk_t walk;
    mcg_planes_walk(p, rows, count, &walk);
    walk.last = end + (walk.all >> 2);
    walk.final = walk.last + (MCG_PLANE_CHANNELS - skip) * p->e.lines * p->e.words;
    walk.sums = sums + 3 * p->x_axes.g.k_h;
    mcg_plane_gradient((at & 1) | kind, e, x, sums, end, &walk);
}

/* Sums of the channels from `skip` on: three neighbouring taps of all kernel rows at a time. */
MCG_APART static void mcg_planes_sums(const mcg_planes_t *p, int32_t skip, int32_t rows)
{
    const mcg_conv2d_t *g = &p->x_axes.g;
    const int32_t wide = g->stride_w == 1 ? MCG_PLANE_TWO : MCG_PLANE_WIDE | MCG_PLANE_TWO;
    const int32_t fours = g->stride_w == 1 ? p->e.words & ~3 : 0;
    const int32_t others = p->e.words - fours;
    const int32_t step = g->dilation_w == 1 ? 3 : g->dilation_w;
    int32_t *sums = p->some + 3 * skip * g->k_h;
    int32_t at = p->x_axes.odd;
    for (int32_t k = 0; k < p->groups; k++) {
        if (fours != 0) {
            mcg_planes_products(p, 0, 0, fours, at, skip, rows, sums);
        }
        if (others != 0) {
            mcg_planes_products(p, wide, fours, others, at, skip, rows, sums);
        }
        sums += 3 * MCG_PLANE_CHANNELS * g->k_h;
        at += step;
    }
}

static void mcg_planes_clear(int32_t *values, int32_t fours)
{
    for (const int32_t *const end = values + 4 * fours; values != end; values += 4) {
        values[0] = 0;
        values[1] = 0;
        values[2] = 0;
        values[3] = 0;
    }
}

/* A sum of each of four channels. */
static inline void mcg_planes_place(const int32_t *some, int32_t size, int32_t *sums)
{
    sums[0] = some[0];
    sums[4] = some[size];
    sums[8] = some[2 * size];
    sums[12] = some[3 * size];
}

/* Sums as steps of weights have them. */
MCG_APART static void mcg_planes_order(const mcg_planes_t *p)
{
    const int32_t size = 3 * p->x_axes.g.k_h;
    const int32_t *some = p->some;
    const int32_t *place = p->place;
    for (int32_t k = 0; k < p->groups; k++) {
        for (const int32_t *const end = some + size; some != end; some += 3) {
            mcg_planes_place(some, size, p->sums + place[0]);
            mcg_planes_place(some + 1, size, p->sums + place[1]);
            mcg_planes_place(some + 2, size, p->sums + place[2]);
            place += 3;
        }
        some += size * (MCG_PLANE_CHANNELS - 1);
    }
}

/* All weights of the channels from `next` on, of four from `first` on, by their sums. */
MCG_APART static void mcg_planes_step(const mcg_planes_t *p, const uint16_t *active, int32_t next,
                                      int32_t first, const mcg_scale_t *factor, const mcg_rule_t *rule,
                                      uint32_t stream, int8_t *w, uint8_t *residual, float *w_scale)
{
    const int32_t rows = MCG_PLANE_CHANNELS - next + first;
    const int32_t taps = p->taps;
    mcg_panel_row_t *const row = p->row;
    const int32_t *const sums = p->sums + 4 * (next - first);
    int32_t whole = rows;
    mcg_panel_begin(rows, active, next, taps, p->x_axes.g.out_h * p->x_axes.g.out_w, factor, rule, stream,
                    row);
    /* Weights behind the last of a row belong to the next, and stay as they are; behind the last row are
     * none, and a word of rows of one weight holds those of three more. */
    while (whole > 0 && row[whole - 1].w + mcg_up4(taps) > p->x_axes.g.out_c * taps) {
        whole--;
    }
    for (int32_t k = 0; k < taps; k += 4) {
        mcg_panel_step(sums + k * MCG_PLANE_CHANNELS, whole, k, 4, rule, w, residual, row);
    }
    for (int32_t i = whole; i < rows; i++) {
        for (int32_t k = 0; k < taps; k += 4) {
            mcg_panel_step(sums + k * MCG_PLANE_CHANNELS + 4 * i, 1, k, mcg_min(4, taps - k), rule, w,
                           residual, row + i);
        }
    }
    mcg_panel_end(rows, active, next, taps, rule, row, w, residual, w_scale);
}

/* A band of rows of errors, and of inputs that they are multiplied with. Apart, as what follows: how errors
 * lie is on the stack only while somebody asks. */
MCG_APART static void mcg_planes_begin(mcg_planes_t *p, int32_t channels, int32_t row)
{
    mcg_planes_of_t of = mcg_planes_errors(&p->x_axes, channels);
    mcg_planes_swap(&p->x_axes, &of);
    mcg_plane_begin(&p->x_axes, &p->e, row);
    mcg_planes_swap(&p->x_axes, &of);
    mcg_plane_begin(&p->x_axes, &p->x, row * p->x_axes.g.stride_h - p->x_axes.g.pad_top);
}

/* Planes of four channels of e and x. */
MCG_APART static void mcg_planes_pack(mcg_planes_t *p, const int8_t *x, const int8_t *e, int32_t channels,
                                      const uint16_t *list, int32_t first)
{
    mcg_plane_axes_t *const axes = &p->x_axes; /* of which packing reads no more than these */
    const mcg_planes_of_t of = mcg_planes_errors(axes, channels);
    const int32_t row = axes->in_row;
    const int32_t column = axes->in_column;
    const int32_t zero = axes->g.x_zero;
    axes->in_row = of.in_row;
    axes->in_column = of.in_column;
    axes->g.x_zero = of.x_zero;
    mcg_plane_pack(e + first, axes, &p->e);
    axes->in_row = row;
    axes->in_column = column;
    axes->g.x_zero = zero;
    if (list == NULL) {
        mcg_plane_pack(x + first, &p->x_axes, &p->x);
    } else if (list[3] - list[0] == 3) {
        mcg_plane_pack(x + list[0], &p->x_axes, &p->x);
    } else {
        mcg_plane_gather(x, &p->x_axes, &p->x, list);
    }
}

/* By planes; false where there is no room for them. Apart: what is on the stack then must not be there beside
 * what portable loops have. */
MCG_APART static bool mcg_planes_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e,
                                        const uint16_t *active, const mcg_scale_t *factor,
                                        const mcg_rule_t *rule, uint32_t stream, int8_t *w, uint8_t *residual,
                                        float *w_scale, int32_t words, uint32_t *scratch)
{
    const int32_t channels = mcg_active_count(active, g->out_c);
    mcg_planes_t p;
    p.taps = g->k_h * g->k_w;
    if (channels < MCG_PLANE_CHANNELS || g->in_c != g->out_c || !mcg_plane_straight(g, &p.x_axes) ||
        !mcg_planes_room(words, scratch, &p)) {
        return false;
    }
    mcg_planes_places(&p);
    mcg_planes_clear(p.sums,
                     mcg_up4(p.taps)); /* what is beside the taps, and taps that are never on the map */
    mcg_planes_begin(&p, channels, 0);
    for (int32_t next = 0; next < channels; next += MCG_PLANE_CHANNELS) {
        const int32_t first = mcg_min(next, channels - MCG_PLANE_CHANNELS);
        const uint16_t *const list = active == NULL ? NULL : active + 1 + first;
        mcg_planes_clear(p.some, 3 * p.groups * p.x_axes.g.k_h);
        for (int32_t row = 0; row < p.x_axes.g.out_h; row += p.e.rows) {
            if (p.e.rows < p.x_axes.g.out_h) {
                mcg_planes_begin(&p, channels, row);
            }
            mcg_planes_pack(&p, x, e, channels, list, first);
            mcg_planes_sums(&p, next - first, mcg_min(p.e.rows, p.x_axes.g.out_h - row));
        }
        mcg_planes_order(&p);
        mcg_planes_step(&p, active, next, first, factor, rule, stream, w, residual, w_scale);
    }
    return true;
}

void mcg_depthwise_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e,
                                 const uint16_t *active, const mcg_scale_t *factor, const mcg_rule_t *rule,
                                 const uint32_t *seed, const uint32_t *step, uint32_t tensor, int32_t rows,
                                 int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                                 int32_t room, uint32_t *scratch)
{
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    const int32_t own = (rows + 1) * g->k_h * g->k_w;
    const bool much = room / 4 >= own;
    if (!mcg_planes_update(g, x, e, active, factor, rule, stream, w, residual, w_scale, much ? room / 4 : own,
                           much ? scratch : (uint32_t *)gradient)) {
        mcg_depthwise_any_update(g, x, e, active, factor, rule, seed, step, tensor, rows, w, residual,
                                 w_scale, gradient);
    }
}
