/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Up to MCG_BLOCK input channels that have an error, and the listed outputs that read them, side by side. */
typedef struct {
    int32_t channels;
    uint16_t channel[MCG_BLOCK];
    int32_t first[MCG_BLOCK + 1];
} mcg_depthwise_block_t;

/* Lists the input channels of the outputs from the `from`-th on. */
static void mcg_depthwise_block(const mcg_conv2d_t *g, const uint16_t *active, int32_t from,
                                mcg_depthwise_block_t *b)
{
    const int32_t multiplier = g->out_c / g->in_c;
    int32_t k = from;
    b->channels = 0;
    while (k < active[0]) {
        const int32_t channel = active[1 + k] / multiplier;
        if (b->channels == 0 || b->channel[b->channels - 1] != channel) {
            if (b->channels == MCG_BLOCK) {
                break;
            }
            b->channel[b->channels] = (uint16_t)channel;
            b->first[b->channels] = k;
            b->channels += 1;
        }
        k += 1;
    }
    b->first[b->channels] = k;
}

/* acc[i] += the products of one tap, where several outputs read a channel. */
static void mcg_depthwise_tap(const mcg_depthwise_block_t *b, const int8_t *e, const int8_t *packed,
                              int32_t *acc)
{
    const int32_t start = b->first[0];
    for (int32_t i = 0; i < b->channels; i++) {
        for (int32_t k = b->first[i]; k < b->first[i + 1]; k++) {
            acc[i] += e[k] * packed[k - start];
        }
    }
}

void mcg_depthwise_grad_active_s8(const mcg_conv2d_t *g, const int8_t *e, const uint16_t *active,
                                  const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                  const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak,
                                  int8_t *packed)
{
    const int32_t taps = g->k_h * g->k_w;
    mcg_depthwise_block_t b;
    mcg_scale_t factor[MCG_BLOCK];
    int32_t acc[MCG_BLOCK];
    int8_t from[MCG_BLOCK];
    int8_t error[MCG_BLOCK];
    int32_t highest = 0;
    for (int32_t i = 0; i < g->in_h * g->in_w * g->in_c; i++) {
        e_x[i] = 0;
    }
    for (int32_t first = 0; first < active[0]; first = b.first[b.channels]) {
        const int8_t *x_at = x;
        int8_t *e_at = e_x;
        int32_t outputs;
        mcg_depthwise_block(g, active, first, &b);
        outputs = b.first[b.channels] - first;
        for (int32_t i = 0; i < b.channels; i++) {
            factor[i] = scale[b.channel[i]];
        }
        for (int32_t k = 0; k < outputs; k++) {
            for (int32_t tap = 0; tap < taps; tap++) {
                packed[tap * outputs + k] = w[active[1 + first + k] * taps + tap];
            }
        }
        for (int32_t iy = 0; iy < g->in_h; iy++) {
            const mcg_position_t top = mcg_position(iy + g->pad_top, g->stride_h);
            for (int32_t ix = 0; ix < g->in_w; ix++) {
                const mcg_position_t left = mcg_position(ix + g->pad_left, g->stride_w);
                mcg_position_t y = top;
                mcg_products_t p = {{NULL, NULL, NULL}, {NULL, NULL, NULL}, 0};
                for (int32_t i = 0; i < b.channels; i++) {
                    acc[i] = 0;
                    from[i] = x_at[b.channel[i]];
                }
                for (int32_t ky = 0; ky < g->k_h; ky++) {
                    mcg_position_t column = left;
                    for (int32_t kx = 0; kx < g->k_w && mcg_position_hits(y, g->out_h); kx++) {
                        if (mcg_position_hits(column, g->out_w)) {
                            const int8_t *pixel = e + (y.at * g->out_w + column.at) * active[0];
                            const int8_t *weights = packed + (ky * g->k_w + kx) * outputs;
                            if (outputs > b.channels) {
                                mcg_depthwise_tap(&b, pixel, weights, acc);
                            } else {
                                p.a[p.terms] = pixel + first;
                                p.b[p.terms] = weights;
                                p.terms += 1;
                            }
                            if (p.terms == 3) {
                                mcg_add_products_s8(&p, outputs, acc);
                                p.terms = 0;
                            }
                        }
                        column = mcg_position_before(column, g->dilation_w, g->stride_w);
                    }
                    y = mcg_position_before(y, g->dilation_h, g->stride_h);
                }
                mcg_add_products_s8(&p, outputs, acc);
                for (int32_t i = 0; w_zero != NULL && i < b.channels; i++) {
                    const mcg_map_t map = {
                        e + b.first[i], g->out_h, g->out_w, active[0], b.first[i + 1] - b.first[i], 0};
                    acc[i] -= *w_zero * mcg_reach_sum_s8(g, &map, iy, ix);
                }
                highest =
                    mcg_max(highest, mcg_error_s8(acc, from, g->x_zero, factor, clip, b.channels, error));
                for (int32_t i = 0; i < b.channels; i++) {
                    e_at[b.channel[i]] = error[i];
                }
                x_at += g->in_c;
                e_at += g->in_c;
            }
        }
    }
    *peak = highest;
}
