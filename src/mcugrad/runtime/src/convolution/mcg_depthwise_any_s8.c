/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Channels at a time: where bodies for planes are, this is seldom called, and may be with little stack left.
 */
#define MCG_DEPTHWISE_SOME (MCG_HAS_DSP ? 32 : MCG_BLOCK)

/* What sums of some channels begin with, and their weights tap by tap. Apart, so that it is gone from the
 * stack during products. */
MCG_APART static void mcg_depthwise_begin(const int8_t *w, int32_t taps, int32_t count, int32_t zero,
                                          const int32_t *bias, int32_t *base, int8_t *packed)
{
    mcg_depthwise_pack_s8(w, taps, taps, count, packed);
    for (int32_t i = 0; i < count; i++) {
        int32_t sum = 0;
        for (int32_t k = 0; k < taps; k++) {
            sum += *w++;
        }
        base[i] = bias[i] - zero * sum;
    }
}

/* Sums less the zero point of the weights. */
MCG_APART static void mcg_depthwise_lower(const mcg_conv2d_t *g, const int8_t *x, int32_t w_zero, int32_t oy,
                                          int32_t ox, int32_t first, int32_t count, int32_t *acc)
{
    const int32_t multiplier = g->out_c / g->in_c;
    for (int32_t i = 0; i < count; i++) {
        const mcg_map_t map = {x + (first + i) / multiplier, g->in_h, g->in_w, g->in_c, 1, g->x_zero};
        acc[i] -= w_zero * mcg_window_sum_s8(g, &map, oy, ox);
    }
}

MCG_APART
void mcg_depthwise_any_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                          const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                          int32_t *peak, int8_t *packed)
{
    const int32_t taps = g->k_h * g->k_w;
    const int32_t multiplier = g->out_c / g->in_c;
    const int32_t most = multiplier == 1 ? 3 : 1; /* taps together */
    int32_t base[MCG_DEPTHWISE_SOME];
    int32_t acc[MCG_DEPTHWISE_SOME];
    int8_t outside[MCG_DEPTHWISE_SOME]; /* what lies beside the map: with it every window has all taps */
    int8_t spare[MCG_DEPTHWISE_SOME];
    int32_t highest = 0;
    for (int32_t i = 0; i < MCG_DEPTHWISE_SOME; i++) {
        outside[i] = (int8_t)g->x_zero;
    }
    for (int32_t first = 0; first < g->out_c; first += MCG_DEPTHWISE_SOME) {
        const int32_t count = mcg_min(g->out_c - first, MCG_DEPTHWISE_SOME);
        int8_t *out = y + first;
        mcg_depthwise_begin(w + first * taps, taps, count, g->x_zero, bias + first, base, packed);
        for (int32_t oy = 0; oy < g->out_h; oy++) {
            for (int32_t ox = 0; ox < g->out_w; ox++) {
                const int8_t *tap = packed;
                mcg_products_t p = {{NULL, NULL, NULL}, {NULL, NULL, NULL}, 0};
                for (int32_t i = 0; i < count; i++) {
                    acc[i] = base[i];
                }
                for (int32_t ky = 0; ky < g->k_h; ky++) {
                    const int32_t row = oy * g->stride_h - g->pad_top + ky * g->dilation_h;
                    int32_t column = ox * g->stride_w - g->pad_left;
                    for (int32_t kx = 0; kx < g->k_w; kx++) {
                        const int8_t *from = outside;
                        if (row >= 0 && row < g->in_h && column >= 0 && column < g->in_w) {
                            from = x + (row * g->in_w + column) * g->in_c;
                            if (multiplier == 1) {
                                from += first;
                            } else {
                                mcg_depthwise_repeat_s8(from, first, multiplier, count, spare);
                                from = spare;
                            }
                        }
                        p.a[p.terms] = from;
                        p.b[p.terms] = tap;
                        p.terms += 1;
                        if (p.terms == most) {
                            mcg_add_products_s8(&p, count, acc);
                            p.terms = 0;
                        }
                        column += g->dilation_w;
                        tap += count;
                    }
                }
                mcg_add_products_s8(&p, count, acc);
                if (w_zero != NULL) {
                    mcg_depthwise_lower(g, x, *w_zero, oy, ox, first, count, acc);
                }
                highest = mcg_max(highest, mcg_output_s8(acc, scale + first, clip, g->y_zero, count, out));
                out += g->out_c;
            }
        }
    }
    *peak = highest;
}
