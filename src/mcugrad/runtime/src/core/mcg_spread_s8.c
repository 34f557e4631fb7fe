/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Elements of a row that are handled together: with a fixed number compilers use whole vectors. */
#define MCG_SPREAD_LANES 16

/* Four rows at a time: the accumulators are read and written once for four products. Two products with errors
 * in [-127, 127] fit in 16 bits, which doubles the lanes of some vector units. */
static inline void mcg_spread_rows(const int8_t *e, const int8_t *const *row, int32_t first, int32_t count,
                                   int32_t *MCG_RESTRICT acc)
{
    const int8_t *MCG_RESTRICT w0 = row[0] + first;
    const int8_t *MCG_RESTRICT w1 = row[1] + first;
    const int8_t *MCG_RESTRICT w2 = row[2] + first;
    const int8_t *MCG_RESTRICT w3 = row[3] + first;
    const int16_t e0 = e[0];
    const int16_t e1 = e[1];
    const int16_t e2 = e[2];
    const int16_t e3 = e[3];
    for (int32_t i = 0; i < count; i++) {
        acc[first + i] += (e0 * w0[i] + e1 * w1[i]) + (e2 * w2[i] + e3 * w3[i]);
    }
}

void mcg_spread_s8(const int8_t *e, int32_t channels, const uint16_t *active, const int8_t *w, int32_t pitch,
                   int32_t count, int32_t *acc)
{
    const int32_t even = count - count % MCG_SPREAD_LANES;
    for (int32_t first = 0; first < channels; first += MCG_BLOCK) {
        /* Only rows with an error take part; they are listed without a branch, for it would be unpredictable.
         */
        const int8_t *row[MCG_BLOCK + 4];
        int8_t error[MCG_BLOCK + 4];
        const int32_t block = mcg_min(channels - first, MCG_BLOCK);
        int32_t rows = 0;
        for (int32_t o = 0; o < block; o++) {
            const int8_t found = e[o];
            row[rows] = w + mcg_active_at(active, first + o) * pitch;
            error[rows] = found;
            rows += found != 0;
        }
        for (int32_t i = rows; i < rows + 3; i++) { /* the last four rows may be less */
            row[i] = w;
            error[i] = 0;
        }
        for (int32_t i = 0; i < rows; i += 4) {
            for (int32_t c = 0; c < even; c += MCG_SPREAD_LANES) {
                mcg_spread_rows(error + i, row + i, c, MCG_SPREAD_LANES, acc);
            }
            if (even < count) {
                mcg_spread_rows(error + i, row + i, even, count - even, acc);
            }
        }
        e += block;
    }
}
