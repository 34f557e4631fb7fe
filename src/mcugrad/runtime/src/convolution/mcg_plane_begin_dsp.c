/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_plane_begin(const mcg_plane_axes_t *a, mcg_plane_band_t *band, int32_t top)
{
    mcg_plane_rows_t *const pack = &band->pack;
    const int32_t first = mcg_max(top, 0);
    const int32_t left = mcg_max(-(a->g.pad_left + a->odd), 0);
    const int32_t words = band->words;
    uint32_t *word = band->plane;
    const uint32_t *const end = word + MCG_PLANE_CHANNELS * band->lines * words;
    for (; word != end; word += MCG_PLANE_CHANNELS) {
        word[0] = 0;
        word[1] = 0;
        word[2] = 0;
        word[3] = 0;
    }
    for (int32_t i = 0; i < band->begin; i++) {
        word[i] = 0;
    }
    band->top = top;
    band->run.plane = 4 * band->lines * words;
    band->run.pitch = 4 * a->g.stride_h * words;
    band->run.skip = band->run.pitch - (a->g.out_w + 3) / 4 * 8 * a->g.stride_w;
    band->run.over = 0;
    band->run.back = 16 * (-a->g.out_w & 3);
    pack->plane = 4 * band->lines * words;
    pack->less = mcg_halves(-a->g.x_zero, -a->g.x_zero);
    pack->skip = a->in_row - 2 * band->there * a->in_column;
    pack->beside = 4 * (words - band->there);
    pack->pitch = 4 * words;
    pack->from = first * a->in_row + left * a->in_column;
    pack->lines = mcg_min(top + band->lines, a->g.in_h) - first;
    pack->to = band->plane + mcg_min(first - top, band->lines) * words + band->begin;
    pack->last = pack->lines <= 0 ? NULL : pack->to + (pack->lines - 1) * words + band->there;
    pack->end = pack->skip == 0 && pack->beside == 0 ? pack->last : pack->to + band->there;
    pack->half = left + 2 * band->there < a->g.in_w && band->begin + band->there < words;
}
