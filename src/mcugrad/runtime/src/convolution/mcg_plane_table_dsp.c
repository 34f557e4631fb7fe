/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* The weight that pixel `at` of a window is multiplied with, 0 between taps. */
static int32_t mcg_table_tap(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero, int32_t at)
{
    const int32_t tap = at / a->g.dilation_w;
    const bool is_one = at >= 0 && tap * a->g.dilation_w == at && tap < a->g.k_w;
    return is_one ? w[tap * a->tap_column] - zero : 0;
}

/* Whether pixel `at` of a window is multiplied with a weight. */
static bool mcg_table_has(const mcg_plane_axes_t *a, int32_t at)
{
    return at >= 0 && at % a->g.dilation_w == 0 && at / a->g.dilation_w < a->g.k_w;
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

/* All kernel rows of neighbouring taps, from the first step on that meets the map. */
static uint32_t *mcg_table_close(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero, int32_t down,
                                 uint32_t *table)
{
    const int32_t column = a->tap_column;
    const int32_t k = 2 * a->step - a->odd;
    const bool half = k < 0; /* the first step begins beside the taps */
    const int32_t left = half ? a->g.k_w - 1 : a->g.k_w - k;
    const int32_t steps = half ? a->steps - 1 : a->steps;
    const int32_t whole = mcg_min(steps, left / 2);
    const bool last = (left & 1) != 0;
    int32_t at = 4 * a->step;
    w += half ? 0 : k * column;
    for (int32_t ky = 0; ky < a->g.k_h; ky++) {
        const int8_t *tap = w;
        int32_t before = k > 0 ? tap[-column] - zero : 0;
        int32_t here = at;
        if (half) {
            before = *tap - zero;
            tap += column;
            *table++ = (uint32_t)before << 16;
            *table++ = 0;
            *table++ = (uint32_t)here;
            here += 4;
        }
        for (int32_t i = 0; i < whole; i++) {
            const int32_t first = tap[0] - zero;
            const int32_t second = tap[column] - zero;
            *table++ = mcg_pkhbt((uint32_t)first, (uint32_t)second);
            *table++ = mcg_pkhbt((uint32_t)before, (uint32_t)first);
            *table++ = (uint32_t)here;
            here += 4;
            before = second;
            tap += 2 * column;
        }
        if (whole != steps) {
            const int32_t first = last ? *tap - zero : 0;
            *table++ = (uint32_t)first & 0xffffU;
            *table++ = mcg_pkhbt((uint32_t)before, (uint32_t)first);
            *table++ = (uint32_t)here;
        }
        w += a->tap_row;
        at += down;
    }
    return table;
}

/* Of taps (0, 1) and (1, 2), from one of them on. */
static inline uint32_t *mcg_table_two(const int8_t *tap, int32_t column, int32_t zero, uint32_t *table)
{
    const int32_t middle = tap[column] - zero;
    *table++ = mcg_pkhbt((uint32_t)(*tap - zero), (uint32_t)middle);
    *table++ = mcg_pkhbt((uint32_t)middle, (uint32_t)(tap[2 * column] - zero));
    return table;
}

/* Kernel rows of 5 or 7 neighbours: words of taps (0, 1), (1, 2), (2, 3), ...; where the row is comes behind
 * the first two of seven, and behind all of five. */
static uint32_t *mcg_table_rows(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero, int32_t down,
                                uint32_t *table)
{
    const int32_t column = a->tap_column;
    const bool seven = a->odd != 0;
    const uint32_t *const end = table + a->g.k_h * a->g.k_w;
    int32_t at = 0;
    while (table != end) {
        const int8_t *tap = w;
        if (seven) {
            table = mcg_table_two(tap, column, zero, table);
            *table++ = (uint32_t)at;
            tap += 2 * column;
        }
        table = mcg_table_two(tap, column, zero, table);
        table = mcg_table_two(tap + 2 * column, column, zero, table);
        if (!seven) {
            *table++ = (uint32_t)at;
        }
        w += a->tap_row;
        at += down;
    }
    return table;
}

/* The same with a stride of 2: words of taps as outputs meet them; of seven, the row is behind the first two.
 */
static uint32_t *mcg_table_strided(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero, int32_t down,
                                   uint32_t *table)
{
    const int32_t column = a->tap_column;
    const bool seven = a->odd != 0;
    const uint32_t *const end = table + a->g.k_h * (seven ? 5 : 4);
    int32_t at = 0;
    while (table != end) {
        const int8_t *tap = w;
        if (seven) {
            *table++ = (uint32_t)(*tap - zero) << 16;
            *table++ = mcg_pkhbt((uint32_t)(tap[column] - zero), (uint32_t)(tap[2 * column] - zero));
            *table++ = (uint32_t)at;
            tap += 3 * column;
        }
        *table++ = mcg_pkhbt((uint32_t)(*tap - zero), (uint32_t)(tap[column] - zero));
        tap += 2 * column;
        *table++ = mcg_pkhbt((uint32_t)(*tap - zero), (uint32_t)(tap[column] - zero));
        if (!seven) {
            *table++ = (uint32_t)(tap[2 * column] - zero) & 0xffffU;
            *table++ = (uint32_t)at;
        }
        w += a->tap_row;
        at += down;
    }
    return table;
}

int32_t mcg_plane_table(const int8_t *w, const mcg_plane_axes_t *a, int32_t zero, int32_t start,
                        int32_t pitch, uint32_t *table)
{
    const int32_t down = a->g.dilation_h * pitch;
    uint32_t *const begin = table;
    for (int32_t i = 0; i < 4; i++) {
        *table++ = (uint32_t)start;
    }
    if (a->kind >= MCG_PLANE_FIVE) {
        return (int32_t)(((a->kind & 1) == 0 ? mcg_table_rows : mcg_table_strided)(w, a, zero, down, table) -
                         begin);
    }
    if (a->g.dilation_w == 1) {
        return (int32_t)(mcg_table_close(w, a, zero, down, table) - begin);
    }
    for (int32_t ky = 0; ky < a->g.k_h; ky++) {
        table = mcg_table_row(w + ky * a->tap_row, a, zero, ky * down, table);
    }
    return (int32_t)(table - begin);
}
