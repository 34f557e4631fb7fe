/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* The weight that pixel `at` of a window is multiplied with, 0 between taps. */
static int32_t mcg_table_tap(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero, int32_t at)
{
    const int32_t tap = a->g.dilation_w == 1 ? at : at / a->g.dilation_w;
    const bool is_one = at >= 0 && tap * a->g.dilation_w == at && tap < a->g.k_w;
    return is_one ? w[tap * a->tap_column] - zero : 0;
}

/* Whether pixel `at` of a window is multiplied with a weight. */
static bool mcg_table_has(const mcg_plane_axes_t *a, int32_t at)
{
    return a->g.dilation_w == 1 || (at >= 0 && at % a->g.dilation_w == 0 && at / a->g.dilation_w < a->g.k_w);
}

/* A kernel row, pixels in pairs: as outputs of even places meet them, and of odd ones. */
static uint32_t *mcg_table_row(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero, int32_t at,
                               uint32_t *table)
{
    const bool single = a->g.stride_w == 1;
    const int32_t reach = (a->g.k_w - 1) * a->g.dilation_w + (single ? 1 : 0);
    int32_t before = 0;
    for (int32_t k = -a->odd; k <= reach; k += 2) {
        const int32_t first = mcg_table_tap(w, a, zero, k);
        const int32_t second = mcg_table_tap(w, a, zero, k + 1);
        if (mcg_table_has(a, k) || mcg_table_has(a, k + 1) || (single && mcg_table_has(a, k - 1))) {
            *table++ = mcg_halves(first, second);
            *table++ = mcg_halves(before, first);
            *table++ = (uint32_t)at;
        }
        before = second;
        at += 4;
    }
    return table;
}

/* Three taps of a kernel row: the words that even and odd outputs share. */
static inline void mcg_table_three(const int8_t *w, int32_t column, int32_t zero, int32_t at, uint32_t *table)
{
    const int32_t middle = w[column] - zero;
    table[0] = mcg_pkhbt((uint32_t)(w[0] - zero), (uint32_t)middle);
    table[1] = mcg_pkhbt((uint32_t)middle, (uint32_t)(w[2 * column] - zero));
    table[2] = (uint32_t)at;
}

int32_t mcg_plane_table(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero, int32_t start,
                        int32_t pitch, uint32_t *table)
{
    const int32_t row = a->tap_row;
    const int32_t column = a->tap_column;
    const int32_t down = a->g.dilation_h * pitch;
    uint32_t *const begin = table;
    for (int32_t i = 0; i < 4; i++) {
        *table++ = (uint32_t)start;
    }
    if (a->kind < MCG_PLANE_STEPS) {
        mcg_table_three(w, column, zero, 0, table);
        mcg_table_three(w + row, column, zero, down, table + 3);
        mcg_table_three(w + 2 * row, column, zero, 2 * down, table + 6);
        return (int32_t)(table + 9 - begin);
    }
    for (int32_t ky = 0; ky < a->g.k_h; ky++) {
        table = mcg_table_row(w + ky * row, a, zero, ky * down, table);
    }
    return (int32_t)(table - begin);
}
