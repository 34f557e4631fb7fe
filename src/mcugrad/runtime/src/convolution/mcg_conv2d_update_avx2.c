/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Gradients of some output channels, from windows of four pixels at a time. */
static void mcg_conv2d_gradients(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, int32_t out_c,
                                 int32_t count, int32_t *gradient, int16_t *patch)
{
    int32_t pairs[2 * MCG_WINDOW_TAPS];
    mcg_gathered_t all = {0, {e, e, e, e}, pairs, g->k_h * g->k_w * g->in_c};
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            if (mcg_any_s8(e, count)) {
                mcg_patch_s8(g, x, oy, ox, patch);
                mcg_gather(&all, patch, e);
                if (all.count == 4) {
                    mcg_add_gathered(&all, count, gradient);
                }
            }
            e += out_c;
        }
    }
    mcg_add_gathered(&all, count, gradient);
}

/* The same where windows are too large for the stack. */
static void mcg_conv2d_large(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, int32_t out_c,
                             int32_t count, int32_t *gradient, int16_t *patch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    for (int32_t oy = 0; oy < g->out_h; oy++) {
        for (int32_t ox = 0; ox < g->out_w; ox++) {
            mcg_patch_s8(g, x, oy, ox, patch);
            mcg_add_outer_s16(e, count, patch, taps, taps, gradient);
            e += out_c;
        }
    }
}

void mcg_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                       float *w_scale, int32_t *gradient, int16_t *patch, int32_t room, uint32_t *scratch)
{
    const int32_t taps = g->k_h * g->k_w * g->in_c;
    const int32_t out_c = mcg_active_count(active, g->out_c);
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    const bool large = taps > MCG_WINDOW_TAPS;
    int32_t own[MCG_GRADIENT_WORDS];
    int32_t *sums = large ? gradient : own;
    const int32_t most = large ? rows : mcg_min(MCG_GRADIENT_WORDS / taps, MCG_BLOCK);
    (void)room;
    (void)scratch;
    for (int32_t first = 0; first < out_c; first += most) {
        const int32_t count = mcg_min(out_c - first, most);
        for (int32_t i = 0; i < count * taps; i++) {
            sums[i] = 0;
        }
        if (large) {
            mcg_conv2d_large(g, x, e + first, out_c, count, sums, patch);
        } else {
            mcg_conv2d_gradients(g, x, e + first, out_c, count, sums, patch);
        }
        for (int32_t o = 0; o < count; o++) {
            mcg_update_row(rule, sums + o * taps, taps, mcg_active_at(active, first + o), factor, stream, w,
                           residual, w_scale);
        }
    }
}
