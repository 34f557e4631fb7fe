/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* gradient[k] += e * patch[k] for one row. */
static void mcg_add_outer_row(int32_t *MCG_RESTRICT gradient, int32_t e, const int16_t *MCG_RESTRICT patch,
                              int32_t count)
{
    for (int32_t k = 0; k < count; k++) {
        gradient[k] += e * patch[k];
    }
}

/* The same for two rows, which read each value once. */
static void mcg_add_outer_rows(int32_t *MCG_RESTRICT gradient0, int32_t e0, int32_t *MCG_RESTRICT gradient1,
                               int32_t e1, const int16_t *MCG_RESTRICT patch, int32_t count)
{
    for (int32_t k = 0; k < count; k++) {
        const int32_t x = patch[k];
        gradient0[k] += e0 * x;
        gradient1[k] += e1 * x;
    }
}

void mcg_add_outer_s16(const int8_t *e, int32_t rows, const int16_t *patch, int32_t count, int32_t pitch,
                       int32_t *gradient)
{
    int32_t waiting = -1;
    for (int32_t o = 0; o < rows; o++) {
        if (e[o] == 0) {
            continue; /* adds nothing, and after a ReLU half of the errors are 0 */
        }
        if (waiting < 0) {
            waiting = o;
        } else {
            mcg_add_outer_rows(gradient + waiting * pitch, e[waiting], gradient + o * pitch, e[o], patch,
                               count);
            waiting = -1;
        }
    }
    if (waiting >= 0) {
        mcg_add_outer_row(gradient + waiting * pitch, e[waiting], patch, count);
    }
}
