/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Adds the products of a pixel's channels with four rows of weights: each channel is read once for four
 * products. */
static void mcg_pointwise_rows(const int8_t *MCG_RESTRICT x, const int8_t *MCG_RESTRICT w, int32_t count,
                               int32_t *MCG_RESTRICT acc)
{
    const int8_t *MCG_RESTRICT w1 = w + count;
    const int8_t *MCG_RESTRICT w2 = w1 + count;
    const int8_t *MCG_RESTRICT w3 = w2 + count;
    int32_t s0 = acc[0];
    int32_t s1 = acc[1];
    int32_t s2 = acc[2];
    int32_t s3 = acc[3];
    MCG_ROLLED
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = x[i];
        s0 += w[i] * value;
        s1 += w1[i] * value;
        s2 += w2[i] * value;
        s3 += w3[i] * value;
    }
    acc[0] = s0;
    acc[1] = s1;
    acc[2] = s2;
    acc[3] = s3;
}

void mcg_pointwise_any_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                          const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                          int32_t *peak)
{
    const int32_t pixels = g->out_h * g->out_w;
    const int32_t in_c = g->in_c;
    int32_t base[MCG_BLOCK];
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t first = 0; first < g->out_c; first += MCG_BLOCK) {
        const int32_t count = mcg_min(g->out_c - first, MCG_BLOCK);
        const int8_t *row = w + first * in_c;
        for (int32_t o = 0; o < count; o++) { /* w (x - zero) = w x - zero * (sum of w) */
            int32_t sum = 0;
            for (int32_t i = 0; i < in_c; i++) {
                sum += row[i];
            }
            base[o] = bias[first + o] - g->x_zero * sum;
            row += in_c;
        }
        for (int32_t pixel = 0; pixel < pixels; pixel++) {
            const int8_t *from = x + pixel * in_c;
            row = w + first * in_c;
            for (int32_t k = 0; k < count; k++) {
                acc[k] = base[k];
            }
            for (int32_t o = 0; o + 4 <= count; o += 4) {
                mcg_pointwise_rows(from, row, in_c, acc + o);
                row += 4 * in_c;
            }
            for (int32_t o = count & ~3; o < count; o++) {
                for (int32_t i = 0; i < in_c; i++) {
                    acc[o] += *row++ * from[i];
                }
            }
            if (w_zero != NULL) {
                mcg_lower(*w_zero * mcg_sum_s8(from, g->x_zero, in_c), count, acc);
            }
            highest = mcg_max(highest, mcg_output_s8(acc, scale + first, clip, g->y_zero, count,
                                                     y + pixel * g->out_c + first));
        }
    }
    *peak = highest;
}
