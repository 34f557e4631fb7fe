/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

MCG_APART
void mcg_depthwise_any_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                     const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                     const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                                     int32_t *peak, int8_t *packed)
{
    const int32_t taps = g->k_h * g->k_w;
    const int32_t multiplier = g->out_c / g->in_c;
    int32_t acc[MCG_BLOCK];
    int8_t spare[3][MCG_BLOCK];
    int32_t highest = 0;
    if (active != NULL) {
        mcg_depthwise_grad_active_s8(g, e, active, w, w_zero, x, scale, clip, e_x, peak, packed);
        return;
    }
    for (int32_t first = 0; first < g->in_c; first += MCG_BLOCK) {
        const int32_t count = mcg_min(g->in_c - first, MCG_BLOCK);
        int32_t at = first;
        for (int32_t m = 0; m < multiplier; m++) {
            mcg_depthwise_pack_s8(w + (first * multiplier + m) * taps, taps, multiplier * taps, count,
                                  packed + m * taps * count);
        }
        for (int32_t iy = 0; iy < g->in_h; iy++) {
            const mcg_position_t top = mcg_position(iy + g->pad_top, g->stride_h);
            for (int32_t ix = 0; ix < g->in_w; ix++) {
                const mcg_position_t left = mcg_position(ix + g->pad_left, g->stride_w);
                mcg_position_t y = top;
                mcg_products_t p = {{NULL, NULL, NULL}, {NULL, NULL, NULL}, 0};
                for (int32_t i = 0; i < count; i++) {
                    acc[i] = 0;
                }
                for (int32_t ky = 0; ky < g->k_h; ky++) {
                    mcg_position_t column = left;
                    for (int32_t kx = 0; kx < g->k_w && mcg_position_hits(y, g->out_h); kx++) {
                        /* The outputs of an input channel are neighbours; their m-th ones are taken together.
                         */
                        for (int32_t m = 0; m < multiplier && mcg_position_hits(column, g->out_w); m++) {
                            const int8_t *from =
                                e + (y.at * g->out_w + column.at) * g->out_c + first * multiplier;
                            if (multiplier > 1) {
                                for (int32_t i = 0; i < count; i++) {
                                    spare[p.terms][i] = from[i * multiplier + m];
                                }
                                from = spare[p.terms];
                            }
                            p.a[p.terms] = from;
                            p.b[p.terms] = packed + ((m * g->k_h + ky) * g->k_w + kx) * count;
                            p.terms += 1;
                            if (p.terms == 3) {
                                mcg_add_products_s8(&p, count, acc);
                                p.terms = 0;
                            }
                        }
                        column = mcg_position_before(column, g->dilation_w, g->stride_w);
                    }
                    y = mcg_position_before(y, g->dilation_h, g->stride_h);
                }
                mcg_add_products_s8(&p, count, acc);
                for (int32_t i = 0; w_zero != NULL && i < count; i++) {
                    const mcg_map_t map = {
                        e + (first + i) * multiplier, g->out_h, g->out_w, g->out_c, multiplier, 0};
                    acc[i] -= *w_zero * mcg_reach_sum_s8(g, &map, iy, ix);
                }
                highest = mcg_max(highest,
                                  mcg_error_s8(acc, x + at, g->x_zero, scale + first, clip, count, e_x + at));
                at += g->in_c;
            }
        }
    }
    *peak = highest;
}
