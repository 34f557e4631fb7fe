/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_plane_four(const mcg_plane_axes_t *a, const mcg_plane_band_t *band, const int8_t *x, const int8_t *w,
                    const int32_t *tap, int32_t zero, const int32_t *start, int32_t rows)
{
    const mcg_conv2d_t *g = &a->g;
    const int32_t four = (g->out_w + 3) / 4;
    const uint32_t *const end = band->plane + four * 2 * g->stride_w;
    uint32_t *table = band->table;
    int32_t size = 0;
    mcg_plane_run_t run;
    mcg_plane_pack(x, a, band);
    for (int32_t i = 0; i < MCG_PLANE_CHANNELS; i++) {
        size = mcg_plane_table(w + tap[i], a, zero, start == NULL ? 0 : start[i], 4 * band->words, table);
        table += size;
    }
    run.table = band->table + size;
    run.plane = 4 * band->lines * band->words;
    run.pitch = 4 * g->stride_h * band->words;
    run.skip = run.pitch - four * 8 * g->stride_w;
    run.back = 16 * (4 * four - g->out_w);
    run.last = end + (rows - 1) * g->stride_h * band->words;
    run.on = run.plane - rows * run.pitch;
    run.down = 16 * rows * g->out_w - 4;
    run.size = 4 * size;
    run.final = run.last + band->lines * band->words * MCG_PLANE_CHANNELS;
    mcg_plane_sums(a->kind, band->plane, band->table, band->sums, end, &run);
}
