/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Some rows, of all channels whose weights are in tables. */
static void mcg_frozen_lines(const mcg_plane_axes_t *a, mcg_plane_band_t *band, const uint32_t *x,
                             int32_t rows, mcg_plane_out_t *out)
{
    mcg_plane_run_t *const run = &band->run;
    const uint32_t *const end = x + (a->g.out_w >> 2) * 2 * a->g.stride_w;
    run->last = end + (rows - 1) * (run->pitch >> 2);
    run->on = run->plane - rows * run->pitch;
    run->down = 16 * rows * a->g.out_w - 4;
    run->final = run->last + band->tables * (run->plane >> 2);
    out->steps = band->table + 4 + (run->over >> 2);
    out->table = band->table;
    out->scale = *out->scales;
    out->mult = *out->mults;
    out->channel = 1 - rows * a->out_row;
    out->sums = band->sums;
    out->lines = rows;
    out->width = a->g.out_w;
    out->channels = band->tables;
    mcg_plane_direct(a->kind, x, band->table, out, end, run);
}

/* Of five or seven neighbours; where kernel rows are beside the map, without these. */
static void mcg_frozen_steps(const mcg_plane_axes_t *a, mcg_plane_band_t *band, int32_t channel, int32_t size,
                             int32_t rows, mcg_plane_out_t *out)
{
    const mcg_conv2d_t *g = &a->g;
    mcg_plane_run_t *const run = &band->run;
    const int32_t of_row = (size - 4) / g->k_h;
    const bool apart = g->dilation_h == 1;
    const uint32_t *x = band->plane + channel * (run->plane >> 2);
    int32_t top = band->top;
    const int32_t *const mults = out->mults;
    const float *const scales = out->scales;
    while (rows > 0) {
        const int32_t from = apart ? mcg_four_from(g, top) : 0;
        const int32_t to = apart ? mcg_four_to(g, top, from) : g->k_h;
        int8_t *const y = out->y;
        int32_t count = 0;
        do {
            count++;
            top += g->stride_h;
        } while (count < rows &&
                 (!apart || (mcg_four_from(g, top) == from && mcg_four_to(g, top, from) == to)));
        run->over = 4 * from * of_row;
        run->table = band->table + 4 + to * of_row;
        run->size = 4 * size;
        out->rows = to - from;
        mcg_frozen_lines(a, band, x, count, out);
        out->y = y + count * a->out_row;
        out->mults = mults;
        out->scales = scales;
        x += count * (run->pitch >> 2);
        rows -= count;
    }
}

void mcg_plane_frozen(const mcg_plane_axes_t *a, mcg_plane_band_t *band, const int8_t *x, const int8_t *w,
                      int32_t taps, int32_t zero, const int32_t *start, int32_t rows, mcg_plane_out_t *out)
{
    const int32_t pitch = 4 * band->words;
    int8_t *const y = out->y;
    const int32_t *const mults = out->mults;
    const float *const scales = out->scales;
    mcg_plane_pack(x, a, band);
    w += a->tap_first;
    if (a->kind < MCG_PLANE_STEPS) {
        for (int32_t i = 0; i < MCG_PLANE_CHANNELS; i++) {
            mcg_four_table(w + i * taps, a, zero, start[i], a->g.dilation_h * pitch,
                           band->table + MCG_PLANE_CLOSE * i);
        }
        band->run.over = 0;
        band->run.table = band->table + MCG_PLANE_CLOSE;
        band->run.size = 4 * MCG_PLANE_CLOSE;
        mcg_frozen_lines(a, band, band->plane, rows, out);
        return;
    }
    for (int32_t first = 0; first < MCG_PLANE_CHANNELS; first += band->tables) {
        uint32_t *table = band->table;
        int32_t size = 0;
        for (int32_t i = first; i < first + band->tables; i++) {
            size = mcg_plane_table(w + i * taps, a, zero, start[i], pitch, table);
            table += size;
        }
        out->y = y + first;
        out->mults = mults + first;
        out->scales = scales + first;
        mcg_frozen_steps(a, band, first, size, rows, out);
    }
}
