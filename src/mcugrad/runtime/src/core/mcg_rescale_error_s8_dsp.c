/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Factors that are laid out at a time. */
#define MCG_RESCALE_BLOCK 32

/* All that does not change. Factors repeat after `period` elements of a row. */
typedef struct {
    int32_t count, pitch, channels, period;
    int32_t x_zero, sign;
    const int8_t *e, *x;
    const mcg_scale_t *scale;
    const int32_t *clip;
    int8_t *e_x;
    int32_t highest; /* of what is done one by one */
    mcg_row_bounds_t how;
    bool some; /* whether an x may not be flat */
} mcg_rescale_t;

/* Elements with some of the factors, a multiple of 4, in all periods of some rows. False where these do not
 * serve. */
MCG_APART static bool mcg_rescale_fours(mcg_rescale_t *m, int32_t row, int32_t rows, int32_t first,
                                        int32_t count)
{
    mcg_row_times_t by[MCG_RESCALE_BLOCK];
    bool fits = m->some;
    int32_t channel = (row * m->count + first) % m->channels;
    for (int32_t i = 0; i < count && fits; i++) {
        fits = mcg_row_times(m->sign, m->scale[channel], by + i);
        channel = channel + 1 == m->channels ? 0 : channel + 1;
    }
    for (; rows > 0 && fits; rows--) {
        for (int32_t i = first; i < m->count; i += m->period) {
            const int32_t at = row * m->count + i;
            mcg_row_products(m->e + row * m->pitch + i, by, m->x + at, count, &m->how, m->e_x + at);
        }
        row++;
    }
    return fits;
}

/* The same of any. */
MCG_APART static void mcg_rescale_some(mcg_rescale_t *m, int32_t row, int32_t rows, int32_t first,
                                       int32_t count)
{
    int32_t acc[MCG_RESCALE_BLOCK];
    for (; rows > 0; rows--) {
        for (int32_t at = first; at < m->count; at += m->period) {
            const int8_t *const e = m->e + row * m->pitch + at;
            const int32_t to = row * m->count + at;
            for (int32_t i = 0; i < count; i++) {
                acc[i] = m->sign * e[i];
            }
            m->highest =
                mcg_max(m->highest, mcg_error_channels_s8(acc, m->x + to, m->x_zero, m->scale, m->channels,
                                                          to, m->clip, count, m->e_x + to));
        }
        row++;
    }
}

/* All of some rows, block by block of a period. */
static void mcg_rescale_rows(mcg_rescale_t *m, int32_t row, int32_t rows)
{
    for (int32_t first = 0; first < m->period; first += MCG_RESCALE_BLOCK) {
        const int32_t block = mcg_min(m->period - first, MCG_RESCALE_BLOCK);
        const int32_t whole = block & ~3;
        const int32_t done = whole != 0 && mcg_rescale_fours(m, row, rows, first, whole) ? whole : 0;
        if (done != block) {
            mcg_rescale_some(m, row, rows, first + done, block - done);
        }
    }
}

/* Whole pixels whose factors are laid out together; a row, where it does not consist of pixels. */
static int32_t mcg_rescale_period(int32_t count, int32_t channels)
{
    int32_t period = channels > MCG_RESCALE_BLOCK ? channels : MCG_RESCALE_BLOCK / channels * channels;
    while (period > channels && count % period != 0) {
        period -= channels;
    }
    return count % period == 0 ? period : count;
}

void mcg_rescale_error_s8(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t channels,
                          int32_t x_zero, int32_t sign, const int8_t *e, const int8_t *x,
                          const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const int32_t period = mcg_rescale_period(count, channels);
    const bool alone = period <= MCG_RESCALE_BLOCK && period % 4 == 0;
    const bool there = pitch == count && offset == 0; /* where e_x may be */
    mcg_rescale_t m = {count, pitch, channels, period, x_zero, sign,         e + offset,
                       x,     scale, clip,     e_x,    0,      {0, 0, 0, 0}, false};
    m.some = mcg_row_bounds(clip, x_zero, &m.how);
    if (count % channels == 0 && (there || alone)) {
        mcg_rescale_rows(&m, 0, rows);
    } else {
        /* In order, for e_x may begin where e does, or because rows begin with other factors. */
        m.period = count;
        for (int32_t row = 0; row < rows; row++) {
            mcg_rescale_rows(&m, row, 1);
        }
    }
    *peak = mcg_max(m.highest, mcg_row_peak(&m.how));
}
