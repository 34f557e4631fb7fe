/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

static inline void mcg_dot_row(const int16_t *x, const int8_t *w, int32_t count, int32_t *acc)
{
    int32_t sum = *acc;
    for (int32_t k = 0; k < count; k++) {
        sum += w[k] * x[k];
    }
    *acc = sum;
}

/* Cores without vectors read x once for two rows, more need more registers than there are; vector units add
 * up one long row faster. */
#if defined(__thumb__) || defined(MCG_NO_VECTORS)
static inline void mcg_dot_rows(const int16_t *x, const int8_t *w, int32_t pitch, int32_t count, int32_t *acc)
{
    const int8_t *next = w + pitch;
    int32_t a0 = acc[0];
    int32_t a1 = acc[1];
    for (int32_t k = 0; k < count; k++) {
        const int32_t value = x[k];
        a0 += w[k] * value;
        a1 += next[k] * value;
    }
    acc[0] = a0;
    acc[1] = a1;
}
#else
static inline void mcg_dot_rows(const int16_t *x, const int8_t *w, int32_t pitch, int32_t count, int32_t *acc)
{
    mcg_dot_row(x, w, count, acc);
    mcg_dot_row(x, w + pitch, count, acc + 1);
}
#endif

void mcg_dot_s8(const int16_t *x, const int8_t *w, int32_t pitch, int32_t rows, int32_t count, int32_t *acc)
{
    int32_t o = 0;
    for (; o + 2 <= rows; o += 2) {
        mcg_dot_rows(x, w + o * pitch, pitch, count, acc + o);
    }
    if (o < rows) {
        mcg_dot_row(x, w + o * pitch, count, acc + o);
    }
}
