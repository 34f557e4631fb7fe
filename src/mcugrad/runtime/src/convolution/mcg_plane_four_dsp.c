/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

#define MCG_FOUR_CLOSE 13 /* words of a table of 3x3 neighbours */

/* Kernel rows that are on the map, of a window that begins with some row of it; one if there is none. */
static inline int32_t mcg_four_from(const mcg_conv2d_t *g, int32_t top)
{
    return mcg_clamp(-top, 0, g->k_h - 1);
}

static inline int32_t mcg_four_to(const mcg_conv2d_t *g, int32_t top, int32_t from)
{
    return mcg_clamp(g->in_h - top, from + 1, g->k_h);
}

/* Sums of some rows, of all channels whose weights are in tables. */
static inline void mcg_four_rows(const mcg_plane_axes_t *a, mcg_plane_band_t *band, const uint32_t *x,
                                 int32_t *sums, int32_t rows, int32_t tables)
{
    mcg_plane_run_t *const run = &band->run;
    const uint32_t *const end = x + ((a->g.out_w + 3) >> 2) * 2 * a->g.stride_w;
    run->last = end + (rows - 1) * (run->pitch >> 2);
    run->on = run->plane - rows * run->pitch;
    run->down = 16 * rows * a->g.out_w - 4;
    run->final = run->last + tables * (run->plane >> 2);
    mcg_plane_sums(a->kind, x, band->table, sums, end, run);
}

/* Sums of any steps; where kernel rows are beside the map, without these. */
static void mcg_four_steps(const mcg_plane_axes_t *a, mcg_plane_band_t *band, int32_t channel, int32_t size,
                           int32_t rows)
{
    const mcg_conv2d_t *g = &a->g;
    mcg_plane_run_t *const run = &band->run;
    const bool apart =
        g->dilation_h == 1 && a->steps * ((g->out_w + 3) / 4) * band->tables >= MCG_PLANE_APART;
    const int32_t of_row = apart ? (size - 4) / g->k_h : 0;
    const uint32_t *x = band->plane + channel * (run->plane >> 2);
    int32_t *sums = band->sums + channel;
    int32_t top = band->top;
    while (rows > 0) {
        int32_t count = rows;
        int32_t last = size;
        run->over = 0;
        if (apart) {
            const int32_t from = mcg_four_from(g, top);
            const int32_t to = mcg_four_to(g, top, from);
            count = 0;
            do {
                count++;
                top += g->stride_h;
            } while (count < rows && mcg_four_from(g, top) == from && mcg_four_to(g, top, from) == to);
            last = 4 + to * of_row;
            run->over = 4 * from * of_row;
        }
        run->table = band->table + last;
        run->rewind = 4 * last;
        run->size = 4 * size;
        mcg_four_rows(a, band, x, sums, count, band->tables);
        x += count * (run->pitch >> 2);
        sums += count * MCG_PLANE_CHANNELS * g->out_w;
        rows -= count;
    }
}

/* Three neighbouring taps of a kernel row: the words that even and odd outputs share. */
static inline void mcg_four_row(const int8_t *w, int32_t column, int32_t zero, int32_t at, uint32_t *table)
{
    const int32_t middle = w[column] - zero;
    table[0] = mcg_pkhbt((uint32_t)(w[0] - zero), (uint32_t)middle);
    table[1] = mcg_pkhbt((uint32_t)middle, (uint32_t)(w[2 * column] - zero));
    table[2] = (uint32_t)at;
}

/* A table of 3x3 neighbours. */
static inline void mcg_four_table(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero, int32_t start,
                                  int32_t down, uint32_t *table)
{
    const int32_t row = a->tap_row;
    const int32_t column = a->tap_column;
    table[0] = (uint32_t)start;
    table[1] = (uint32_t)start;
    table[2] = (uint32_t)start;
    table[3] = (uint32_t)start;
    mcg_four_row(w, column, zero, 0, table + 4);
    mcg_four_row(w + row, column, zero, down, table + 7);
    mcg_four_row(w + 2 * row, column, zero, 2 * down, table + 10);
}

void mcg_plane_four(const mcg_plane_axes_t *a, mcg_plane_band_t *band, const int8_t *x, const int8_t *w,
                    const int32_t *tap, int32_t zero, const int32_t *start, int32_t rows)
{
    const int32_t pitch = 4 * band->words;
    mcg_plane_pack(x, a, band);
    w += a->tap_first;
    if (a->kind < MCG_PLANE_STEPS) {
        for (int32_t i = 0; i < MCG_PLANE_CHANNELS; i++) {
            mcg_four_table(w + tap[i], a, zero, start == NULL ? 0 : start[i], a->g.dilation_h * pitch,
                           band->table + MCG_FOUR_CLOSE * i);
        }
        band->run.table = band->table + MCG_FOUR_CLOSE;
        band->run.size = 4 * MCG_FOUR_CLOSE;
        mcg_four_rows(a, band, band->plane, band->sums, rows, MCG_PLANE_CHANNELS);
        return;
    }
    for (int32_t first = 0; first < MCG_PLANE_CHANNELS; first += band->tables) {
        uint32_t *table = band->table;
        int32_t size = 0;
        for (int32_t i = first; i < first + band->tables; i++) {
            size = mcg_plane_table(w + tap[i], a, zero, start == NULL ? 0 : start[i], pitch, table);
            table += size;
        }
        mcg_four_steps(a, band, first, size, rows);
    }
}
