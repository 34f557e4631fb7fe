/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Elements of the second factor at a time. */
#define MCG_MUL_BLOCK 32

/* All that does not change. */
typedef struct {
    int32_t count, period, channels;
    int32_t a_zero, b_zero;
    const int8_t *e, *b, *a;
    const mcg_scale_t *scale;
    const int32_t *clip;
    int8_t *e_a;
    mcg_row_bounds_t how;
    bool some; /* whether an a may not be flat */
} mcg_mul_grad_t;

/* Of some elements of b, a multiple of 4: factors are laid out once for all that they are multiplied with.
 * False where these do not serve. */
MCG_APART static bool mcg_mul_fours(mcg_mul_grad_t *m, int32_t first, int32_t count)
{
    mcg_row_times_t by[MCG_MUL_BLOCK];
    bool fits = m->some && m->period % m->channels == 0;
    int32_t channel = first % m->channels;
    for (int32_t i = 0; i < count && fits; i++) {
        fits = mcg_row_times(m->b[first + i] - m->b_zero, m->scale[channel], by + i);
        channel = channel + 1 == m->channels ? 0 : channel + 1;
    }
    for (int32_t at = first; at < m->count && fits; at += m->period) {
        mcg_row_products(m->e + at, by, m->a + at, count, &m->how, m->e_a + at);
    }
    return fits;
}

/* The same of any; the largest magnitude. */
MCG_APART static int32_t mcg_mul_some(const mcg_mul_grad_t *m, int32_t first, int32_t count)
{
    mcg_scale_block_t factors;
    int32_t acc[MCG_MUL_BLOCK];
    int32_t highest = 0;
    mcg_fill_scale(factors.scale, *m->scale);
    for (int32_t at = first; at < m->count; at += m->period) {
        for (int32_t i = 0; i < count; i++) {
            acc[i] = m->e[at + i] * (m->b[first + i] - m->b_zero);
        }
        highest = mcg_max(highest, mcg_error_parts(acc, m->a + at, m->a_zero, m->scale, m->channels, at,
                                                   factors.scale, m->clip, count, m->e_a + at));
    }
    return highest;
}

void mcg_mul_grad_a_s8(int32_t count, int32_t period, int32_t channels, int32_t a_zero, int32_t b_zero,
                       const int8_t *e, const int8_t *b, const int8_t *a, const mcg_scale_t *scale,
                       const int32_t *clip, int8_t *e_a, int32_t *peak)
{
    mcg_mul_grad_t m = {count, period, channels, a_zero, b_zero,       e,    b,
                        a,     scale,  clip,     e_a,    {0, 0, 0, 0}, false};
    int32_t highest = 0;
    m.some = mcg_row_bounds(clip, a_zero, &m.how);
    for (int32_t first = 0; first < period; first += MCG_MUL_BLOCK) {
        const int32_t block = mcg_min(period - first, MCG_MUL_BLOCK);
        const int32_t whole = block & ~3;
        const int32_t done = whole != 0 && mcg_mul_fours(&m, first, whole) ? whole : 0;
        if (done != block) {
            highest = mcg_max(highest, mcg_mul_some(&m, first + done, block - done));
        }
    }
    *peak = mcg_max(highest, mcg_row_peak(&m.how));
}
