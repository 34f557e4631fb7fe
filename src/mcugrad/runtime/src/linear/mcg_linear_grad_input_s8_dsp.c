/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Inputs at a time: as many as leave a step within 1 KiB of stack, of which GCC keeps more here. */
#define MCG_LINEAR_COLUMNS (MCG_GCC ? 56 : 60)

/* Errors of some inputs, whose factors repeat. */
static int32_t mcg_linear_errors(const mcg_linear_t *g, const int32_t *acc, const int8_t *x,
                                 const mcg_scale_t *scale, const int32_t *clip, int32_t start, int32_t count,
                                 int8_t *e_x)
{
    int32_t channel = start % g->in_c;
    int32_t highest = 0;
    for (int32_t c = 0; c < count;) {
        const int32_t part = mcg_min(count - c, g->in_c - channel);
        const int32_t at = start + c;
        highest = mcg_max(highest,
                          mcg_row_errors(acc + c, x + at, g->x_zero, scale + channel, clip, part, e_x + at));
        c += part;
        channel = 0;
    }
    return highest;
}

void mcg_linear_grad_input_s8(const mcg_linear_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                              const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                              const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const int32_t out = mcg_active_count(active, g->out);
    const int32_t less = w_zero == NULL ? 0 : *w_zero * mcg_sum_s8(e, 0, out);
    mcg_row_group_t list[MCG_ROW_GROUPS];
    int32_t acc[MCG_LINEAR_COLUMNS];
    int32_t groups = 0;
    int32_t highest = 0;
    for (int32_t start = 0; start < g->inputs; start += MCG_LINEAR_COLUMNS) {
        const int32_t count = mcg_min(g->inputs - start, MCG_LINEAR_COLUMNS);
        bool some = false;
        for (int32_t first = 0; first < out; first += MCG_ROW_LISTED) {
            if (start == 0 || out > MCG_ROW_LISTED) {
                groups = mcg_row_list(e + first, mcg_min(out - first, MCG_ROW_LISTED),
                                      mcg_active_from(active, first), first, g->inputs, list);
            }
            if (groups != 0) {
                mcg_row_spread(list, groups, w + start, count, some, acc);
                some = true;
            }
        }
        for (int32_t c = 0; c < count && !some; c++) {
            acc[c] = 0;
        }
        if (less != 0) {
            mcg_lower(less, count, acc);
        }
        highest = mcg_max(highest, mcg_linear_errors(g, acc, x, scale, clip, start, count, e_x));
    }
    *peak = highest;
}
