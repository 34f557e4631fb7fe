/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

bool mcg_plane_band(const mcg_plane_axes_t *a, int32_t room, uint32_t *from, mcg_plane_band_t *band)
{
    const mcg_conv2d_t *g = &a->g;
    const int32_t reach = (g->k_w - 1) * g->dilation_w + 1 + a->odd;
    const int32_t four = (g->out_w + 3) / 4;
    const int32_t one = 4 + mcg_plane_row_words(a) * g->k_h;
    const int32_t left = -(g->pad_left + a->odd); /* the first column, which is even */
    const int32_t read = g->stride_w == 1 ? 2 * four + reach / 2 : 4 * four + (reach - 1) / 2;
    const int32_t begin = left < 0 ? mcg_min(-left / 2, read) : 0;
    const int32_t last = mcg_clamp((g->in_w - left + 1) / 2, begin, read);
    const int32_t words = mcg_max(read - begin, last);
    const int32_t more = g->stride_h * 4 * words + 5 * g->out_w; /* of each row of outputs */
    const int32_t lines = (g->k_h - 1) * g->dilation_h + 1 - g->stride_h;
    const int32_t most = room / 4 - 12 - 4 * words * lines - begin;
    const bool single = a->kind >= MCG_PLANE_STEPS && most - MCG_PLANE_CHANNELS * one < more;
    const int32_t tables = single ? 1 : MCG_PLANE_CHANNELS;
    const int32_t rest = most - tables * one;
    band->rows = rest < more ? 0 : mcg_min(rest / more, g->out_h);
    band->tables = tables;
    band->words = words;
    band->lines = lines + band->rows * g->stride_h;
    band->begin = begin;
    band->there = mcg_clamp((g->in_w - left) / 2, begin, words) - begin;
    band->table = from;
    band->at = (int32_t *)from + tables * one;
    band->sums = band->at + band->rows * g->out_w;
    band->plane = (uint32_t *)band->sums + 4 * band->rows * g->out_w + 12;
    return band->rows != 0;
}
