/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

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

void mcg_plane_four(const mcg_plane_axes_t *a, mcg_plane_band_t *band, const int8_t *x, const int8_t *w,
                    const int32_t *tap, int32_t zero, const int32_t *start, int32_t rows)
{
    const int32_t pitch = 4 * band->words;
    mcg_plane_pack(x, a, band);
    w += a->tap_first;
    if (a->kind < MCG_PLANE_STEPS) {
        for (int32_t i = 0; i < MCG_PLANE_CHANNELS; i++) {
            mcg_four_table(w + tap[i], a, zero, start == NULL ? 0 : start[i], a->g.dilation_h * pitch,
                           band->table + MCG_PLANE_CLOSE * i);
        }
        band->run.table = band->table + MCG_PLANE_CLOSE;
        band->run.size = 4 * MCG_PLANE_CLOSE;
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
