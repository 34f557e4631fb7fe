/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Adds the outer product of two errors at each of two pixels with the pixels' channels. */
MCG_APART static void mcg_pointwise_pairs(int32_t *MCG_RESTRICT gradient, const int8_t *MCG_RESTRICT e,
                                          int32_t step, const int8_t *MCG_RESTRICT x, int32_t pitch,
                                          int32_t count)
{
    int32_t *MCG_RESTRICT g0 = gradient;
    int32_t *MCG_RESTRICT g1 = gradient + count;
    const int8_t *MCG_RESTRICT x1 = x + pitch;
    const int32_t e00 = e[0];
    const int32_t e01 = e[1];
    const int32_t e10 = e[step];
    const int32_t e11 = e[step + 1];
    MCG_ROLLED
    for (int32_t i = 0; i < count; i++) {
        const int32_t here = x[i];
        const int32_t there = x1[i];
        g0[i] += e00 * here + e10 * there;
        g1[i] += e01 * here + e11 * there;
    }
}

/* gradient[i] += e * x[i] */
static void mcg_pointwise_single(int32_t *MCG_RESTRICT gradient, int32_t e, const int8_t *MCG_RESTRICT x,
                                 int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        gradient[i] += e * x[i];
    }
}

/* Adds what one or two pixels give to the gradients of `rows` output channels. */
static void mcg_pointwise_gather(int32_t in_c, int32_t out_c, const int8_t *x, const int8_t *e,
                                 int32_t pixels, int32_t rows, int32_t *gradient)
{
    int32_t o = 0;
    for (; pixels == 2 && o + 2 <= rows; o += 2) {
        mcg_pointwise_pairs(gradient + o * in_c, e + o, out_c, x, in_c, in_c);
    }
    for (; o < rows; o++) {
        for (int32_t i = 0; i < pixels; i++) {
            mcg_pointwise_single(gradient + o * in_c, e[i * out_c + o], x + i * in_c, in_c);
        }
    }
}

void mcg_pointwise_any_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                              const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                              const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w,
                              uint8_t *residual, float *w_scale, int32_t *gradient)
{
    const int32_t in_c = g->in_c;
    const int32_t out_c = mcg_active_count(active, g->out_c);
    const int32_t pixels = g->out_h * g->out_w;
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    int32_t total[MCG_BLOCK];
    for (int32_t first = 0; first < out_c; first += rows) {
        const int32_t count = mcg_min(out_c - first, rows);
        int32_t touched = 0;
        for (int32_t i = 0; i < count * in_c; i++) {
            gradient[i] = 0;
        }
        for (int32_t o = 0; o < count; o++) {
            total[o] = 0;
        }
        for (int32_t pixel = 0; pixel < pixels; pixel += 2) {
            const int32_t here = mcg_min(pixels - pixel, 2);
            const int8_t *error = e + pixel * out_c + first;
            int32_t any = 0;
            for (int32_t i = 0; i < here; i++) {
                for (int32_t o = 0; o < count; o++) {
                    any |= error[i * out_c + o];
                    total[o] += error[i * out_c + o];
                }
            }
            if (any != 0) {
                mcg_pointwise_gather(in_c, out_c, x + pixel * in_c, error, here, count, gradient);
            }
            touched |= any;
        }
        if (touched == 0) {
            continue; /* zero gradients leave weights as they are, whatever the random numbers */
        }
        for (int32_t o = 0; o < count; o++) {
            int32_t *row = gradient + o * in_c;
            const int32_t offset = g->x_zero * total[o]; /* e (x - zero) = e x - zero * (sum of e) */
            for (int32_t i = 0; i < in_c; i++) {
                row[i] -= offset;
            }
            mcg_update_row(rule, row, in_c, mcg_active_at(active, first + o), factor, stream, w, residual,
                           w_scale);
        }
    }
}
