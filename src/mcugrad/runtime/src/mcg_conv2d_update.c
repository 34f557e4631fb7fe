/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

/* gradient[k] += e * patch[k] for one row. */
static void mcg_conv2d_gather(int32_t *restrict gradient, int32_t e, const int16_t *restrict patch,
                              int32_t taps)
{
    for (int32_t k = 0; k < taps; k++) {
        gradient[k] += e * patch[k];
    }
}

/* The same for two rows, which read each tap once. */
static void mcg_conv2d_gather2(int32_t *restrict gradient0, int32_t e0, int32_t *restrict gradient1,
                               int32_t e1, const int16_t *restrict patch, int32_t taps)
{
    for (int32_t k = 0; k < taps; k++) {
        const int32_t x = patch[k];
        gradient0[k] += e0 * x;
        gradient1[k] += e1 * x;
    }
}

/* The same for every row with an error. */
static void mcg_conv2d_gather_rows(int32_t *gradient, const int8_t *e, int32_t rows, const int16_t *patch,
                                   int32_t taps)
{
    int32_t waiting = -1;
    for (int32_t o = 0; o < rows; o++) {
        if (e[o] == 0) {
            continue;
        }
        if (waiting < 0) {
            waiting = o;
        } else {
            mcg_conv2d_gather2(gradient + waiting * taps, e[waiting], gradient + o * taps, e[o], patch, taps);
            waiting = -1;
        }
    }
    if (waiting >= 0) {
        mcg_conv2d_gather(gradient + waiting * taps, e[waiting], patch, taps);
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
                    mcg_patch_s8(g, x, oy, ox, patch);
                    mcg_conv2d_gather_rows(gradient, pixel, count, patch, taps);
                }
                pixel += g->out_c;
            }
        }
        for (int32_t o = 0; o < count; o++) {
            mcg_update_row(rule, gradient + o * taps, taps, first + o, factor, stream, w, residual, w_scale);
        }
    }
}
