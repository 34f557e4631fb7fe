/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

/* gradient[k] += e * patch[k] */
static void mcg_conv2d_gather(int32_t *restrict gradient, int32_t e, const int16_t *restrict patch,
                              int32_t taps)
{
    for (int32_t k = 0; k < taps; k++) {
        gradient[k] += e * patch[k];
    }
}

/* The same for four rows at a time, which read each tap once. */
static void mcg_conv2d_gather4(int32_t *restrict gradient, const int8_t *e, const int16_t *restrict patch,
                               int32_t taps)
{
    int32_t *restrict g0 = gradient;
    int32_t *restrict g1 = gradient + taps;
    int32_t *restrict g2 = g1 + taps;
    int32_t *restrict g3 = g2 + taps;
    const int32_t e0 = e[0];
    const int32_t e1 = e[1];
    const int32_t e2 = e[2];
    const int32_t e3 = e[3];
    for (int32_t k = 0; k < taps; k++) {
        const int32_t x = patch[k];
        g0[k] += e0 * x;
        g1[k] += e1 * x;
        g2[k] += e2 * x;
        g3[k] += e3 * x;
    }
}

void mcg_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const mcg_scale_t *factor,
                       const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step, uint32_t tensor,
                       int32_t rows, int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                       int16_t *patch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    for (int32_t first = 0; first < g->out_c; first += rows) {
        const int32_t count = mcg_min(g->out_c - first, rows);
        const int8_t *pixel = e + first;
        for (int32_t i = 0; i < count * taps; i++) {
            gradient[i] = 0;
        }
        for (int32_t oy = 0; oy < g->out_h; oy++) {
            for (int32_t ox = 0; ox < g->out_w; ox++) {
                int32_t any = 0;
                for (int32_t o = 0; o < count; o++) {
                    any |= pixel[o];
                }
                if (any != 0) {
                    int32_t o = 0;
                    mcg_patch_s8(g, x, oy, ox, patch);
                    for (; o + 4 <= count; o += 4) {
                        mcg_conv2d_gather4(gradient + o * taps, pixel + o, patch, taps);
                    }
                    for (; o < count; o++) {
                        mcg_conv2d_gather(gradient + o * taps, pixel[o], patch, taps);
                    }
                }
                pixel += g->out_c;
            }
        }
        for (int32_t o = 0; o < count; o++) {
            mcg_update_row(rule, gradient + o * taps, taps, first + o, factor, stream, w, residual, w_scale);
        }
    }
}
