/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

MCG_APART
void mcg_depthwise_any_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                          const int32_t *bias, const float *scale, const int32_t *clip, int8_t *y,
                          int32_t *peak, int8_t *packed)
{
    const int32_t taps = g->k_h * g->k_w;
    const int32_t multiplier = g->out_c / g->in_c;
    int32_t base[MCG_BLOCK];
    int32_t acc[MCG_BLOCK];
    int8_t outside[MCG_BLOCK]; /* what lies beside the map: with it every window has all taps */
    int8_t spare[3][MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t i = 0; i < MCG_BLOCK; i++) {
        outside[i] = (int8_t)g->x_zero;
    }
    for (int32_t first = 0; first < g->out_c; first += MCG_BLOCK) {
        const int32_t count = mcg_min(g->out_c - first, MCG_BLOCK);
        int8_t *out = y + first;
        mcg_depthwise_pack_s8(w, taps, taps, count, packed);
        for (int32_t i = 0; i < count; i++) {
            int32_t sum = 0;
            for (int32_t k = 0; k < taps; k++) {
                sum += *w++;
            }
            base[i] = bias[first + i] - g->x_zero * sum;
        }
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
                                mcg_depthwise_repeat_s8(from, first, multiplier, count, spare[p.terms]);
                                from = spare[p.terms];
                            }
                        }
                        p.a[p.terms] = from;
                        p.b[p.terms] = tap;
                        p.terms += 1;
                        if (p.terms == 3) {
                            mcg_add_products_s8(&p, count, acc);
                            p.terms = 0;
                        }
                        column += g->dilation_w;
                        tap += count;
                    }
                }
                mcg_add_products_s8(&p, count, acc);
                for (int32_t i = 0; w_zero != NULL && i < count; i++) {
                    const mcg_map_t map = {
                        x + (first + i) / multiplier, g->in_h, g->in_w, g->in_c, 1, g->x_zero};
                    acc[i] -= *w_zero * mcg_window_sum_s8(g, &map, oy, ox);
                }
                highest = mcg_max(highest, mcg_output_s8(acc, scale + first, clip, g->y_zero, count, out));
                out += g->out_c;
            }
        }
    }
    *peak = highest;
}
