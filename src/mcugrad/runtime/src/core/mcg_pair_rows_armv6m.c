/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_pair_rows(const mcg_pair_rows_t *w, int32_t row, uint32_t *to)
{
    const int32_t run = w->line.terms * w->line.taps;
    mcg_pair_line_t line = w->line;
    int32_t sum = 0;
    for (int32_t h = 1; h <= w->halves; h++) {
        line.half = w->halves == 1 ? 0 : h;
        line.at = w->line.at + row * w->row;
        for (int32_t ky = 0; ky < w->lines; ky++) {
            sum += mcg_pair_line(&line, 1, to);
            line.at += w->next;
            to += (run + 1) / 2;
        }
    }
    return sum;
}
