/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

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

/* Sums of up to MCG_BLOCK inputs; false where they are 0 and none was written. Of inputs that are no whole
 * four, the sums of the last four follow those of the others. */
static bool mcg_linear_sums(const mcg_linear_t *g, const mcg_row_group_t *list, int32_t groups,
                            const int8_t *w, int32_t start, bool more, int32_t *acc)
{
    const int32_t count = mcg_min(g->inputs - start, MCG_BLOCK);
    const int32_t whole = count & ~3;
    if (groups == 0) {
        return more;
    }
    if (whole != 0) {
        mcg_row_spread(list, groups, w + start, whole, more, acc);
    }
    if (whole != count && g->inputs >= 4) {
        mcg_row_spread(list, groups, w + g->inputs - 4, 4, more, acc + whole);
    } else if (whole != count) {
        for (int32_t c = 0; c < count; c++) {
            acc[c] = more ? acc[c] : 0;
            for (int32_t k = 0; k < 4 * groups; k++) {
                acc[c] += list[k / 4].error[k % 4] * w[list[k / 4].at[k % 4] + c];
            }
        }
    }
    return true;
}

void mcg_linear_grad_input_s8(const mcg_linear_t *g, const int8_t *e, const uint16_t *active, const int8_t *w,
                              const int32_t *w_zero, const int8_t *x, const mcg_scale_t *scale,
                              const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const int32_t out = mcg_active_count(active, g->out);
    const int32_t less = w_zero == NULL ? 0 : *w_zero * mcg_sum_s8(e, 0, out);
    mcg_row_group_t list[MCG_ROW_GROUPS];
    int32_t acc[MCG_BLOCK + 4];
    int32_t groups = 0;
    int32_t highest = 0;
    for (int32_t start = 0; start < g->inputs; start += MCG_BLOCK) {
        const int32_t count = mcg_min(g->inputs - start, MCG_BLOCK);
        const int32_t rest = count & 3;
        bool some = false;
        for (int32_t first = 0; first < out; first += MCG_ROW_LISTED) {
            if (start == 0 || out > MCG_ROW_LISTED) {
                groups = mcg_row_list(e + first, mcg_min(out - first, MCG_ROW_LISTED),
                                      mcg_active_from(active, first), first, g->inputs, list);
            }
            some = mcg_linear_sums(g, list, groups, w, start, some, acc);
        }
        if (!some) {
            for (int32_t c = 0; c < count; c++) {
                acc[c] = 0;
            }
        } else if (rest != 0 && g->inputs >= 4) {
            for (int32_t c = count - rest; c < count; c++) {
                acc[c] = acc[c + 4 - rest];
            }
        }
        if (less != 0) {
            mcg_lower(less, count, acc);
        }
        highest = mcg_max(highest, mcg_linear_errors(g, acc, x, scale, clip, start, count, e_x));
    }
    *peak = highest;
}
