/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Adds the products of up to three pixels' errors with what each of their taps reads, for `count` channels.
 */
static void mcg_depthwise_gather(const mcg_conv2d_t *g, const int8_t *x, const uint16_t *read, int32_t first,
                                 int32_t count, const int8_t *outside, const int32_t *top,
                                 const int32_t *left, mcg_products_t *p, int32_t *gradient)
{
    const int32_t multiplier = g->out_c / g->in_c;
    int8_t spare[3][MCG_DEPTHWISE_ROWS];
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        for (int32_t kx = 0; kx < g->k_w; kx++) {
            for (int32_t i = 0; i < p->terms; i++) {
                const int32_t row = top[i] + ky * g->dilation_h;
                const int32_t column = left[i] + kx * g->dilation_w;
                p->b[i] = outside;
                if (row >= 0 && row < g->in_h && column >= 0 && column < g->in_w) {
                    const int8_t *from = x + (row * g->in_w + column) * g->in_c;
                    p->b[i] = spare[i];
                    if (read != NULL) {
                        for (int32_t c = 0; c < count; c++) {
                            spare[i][c] = from[read[c]];
                        }
                    } else if (multiplier > 1) {
                        mcg_depthwise_repeat_s8(from, first, multiplier, count, spare[i]);
                    } else {
                        p->b[i] = from + first;
                    }
                }
            }
            mcg_add_products_s8(p, count, gradient);
            gradient += count;
        }
    }
}

MCG_APART
void mcg_depthwise_any_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                              const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                              const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w,
                              uint8_t *residual, float *w_scale, int32_t *gradient)
{
    const int32_t taps = g->k_h * g->k_w;
    const int32_t out_c = mcg_active_count(active, g->out_c);
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    int32_t *row = gradient + rows * taps;
    int32_t total[MCG_DEPTHWISE_ROWS];
    int8_t outside[MCG_DEPTHWISE_ROWS];
    uint16_t channel[MCG_DEPTHWISE_ROWS]; /* of the input, that those which take part read */
    const uint16_t *read = active == NULL ? NULL : channel;
    for (int32_t i = 0; i < MCG_DEPTHWISE_ROWS; i++) {
        outside[i] = (int8_t)g->x_zero;
    }
    for (int32_t first = 0; first < out_c; first += rows) {
        const int32_t count = mcg_min(out_c - first, rows);
        const int8_t *pixel = e + first;
        bool touched = false;
        int32_t top[3];
        int32_t left[3];
        mcg_products_t p = {{NULL, NULL, NULL}, {NULL, NULL, NULL}, 0};
        for (int32_t i = 0; i < count; i++) {
            total[i] = 0;
            channel[i] = (uint16_t)(read == NULL ? 0 : active[1 + first + i] / (g->out_c / g->in_c));
        }
        for (int32_t i = 0; i < count * taps; i++) {
            gradient[i] = 0;
        }
        for (int32_t oy = 0; oy < g->out_h; oy++) {
            for (int32_t ox = 0; ox < g->out_w; ox++) {
                int32_t any = 0;
                for (int32_t i = 0; i < count; i++) {
                    any |= pixel[i];
                    total[i] += pixel[i];
                }
                if (any != 0) {
                    touched = true;
                    top[p.terms] = oy * g->stride_h - g->pad_top;
                    left[p.terms] = ox * g->stride_w - g->pad_left;
                    p.a[p.terms] = pixel;
                    p.terms += 1;
                    if (p.terms == 3) {
                        mcg_depthwise_gather(g, x, read, first, count, outside, top, left, &p, gradient);
                        p.terms = 0;
                    }
                }
                pixel += out_c;
            }
        }
        if (!touched) {
            continue; /* zero gradients leave weights as they are, whatever the random numbers */
        }
        mcg_depthwise_gather(g, x, read, first, count, outside, top, left, &p, gradient);
        for (int32_t o = 0; o < count; o++) {
            for (int32_t k = 0; k < taps; k++) {
                row[k] = gradient[k * count + o] - g->x_zero * total[o];
            }
            mcg_update_row(rule, row, taps, mcg_active_at(active, first + o), factor, stream, w, residual,
                           w_scale);
        }
    }
}
