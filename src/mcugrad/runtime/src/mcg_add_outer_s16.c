/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

/* gradient[k] += e * patch[k] */
static void mcg_add_outer_row(int32_t *restrict gradient, int32_t e, const int16_t *restrict patch,
                              int32_t count)
{
    for (int32_t k = 0; k < count; k++) {
        gradient[k] += e * patch[k];
    }
}

/* The same for four rows at a time, which read each value once. */
static void mcg_add_outer_rows(int32_t *restrict gradient, int32_t pitch, const int8_t *e,
                               const int16_t *restrict patch, int32_t count)
{
    int32_t *restrict g0 = gradient;
    int32_t *restrict g1 = gradient + pitch;
    int32_t *restrict g2 = g1 + pitch;
    int32_t *restrict g3 = g2 + pitch;
    const int32_t e0 = e[0];
    const int32_t e1 = e[1];
    const int32_t e2 = e[2];
    const int32_t e3 = e[3];
    for (int32_t k = 0; k < count; k++) {
        const int32_t x = patch[k];
        g0[k] += e0 * x;
        g1[k] += e1 * x;
        g2[k] += e2 * x;
        g3[k] += e3 * x;
    }
}

void mcg_add_outer_s16(const int8_t *e, int32_t rows, const int16_t *patch, int32_t count, int32_t pitch,
                       int32_t *gradient)
{
    int32_t o = 0;
    for (; o + 4 <= rows; o += 4) {
        mcg_add_outer_rows(gradient + o * pitch, pitch, e + o, patch, count);
    }
    for (; o < rows; o++) {
        mcg_add_outer_row(gradient + o * pitch, e[o], patch, count);
    }
}
