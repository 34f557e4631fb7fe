/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Windows that may cover a coordinate: from the first to the last. */
typedef struct {
    int32_t first, last;
} mcg_cover_t;

static inline mcg_cover_t mcg_cover(int32_t coordinate, int32_t reach, int32_t stride, int32_t outputs)
{
    const int32_t before = coordinate - reach;
    const mcg_cover_t found = {before <= 0 ? 0 : (before + stride - 1) / stride,
                               mcg_min(coordinate / stride, outputs - 1)};
    return found;
}

/* A block of channels on its way over the map. */
typedef struct {
    mcg_panel_error_t how;
    mcg_scale_block_t factors;
    int32_t acc[MCG_BLOCK];        /* of the pixel before */
    uint32_t error[MCG_BLOCK / 4]; /* what these become where x is not flat, if `known` */
    bool known;
} mcg_pooled_t;

/* Sums of a pixel, of a block of channels. */
static void mcg_pooled_sums(const mcg_pool2d_t *g, const int8_t *e, const int32_t *weight_h,
                            const int32_t *weight_w, int32_t iy, int32_t ix, const mcg_cover_t *rows,
                            const mcg_cover_t *columns, int32_t block, int32_t *acc)
{
    for (int32_t c = 0; c < block; c++) {
        acc[c] = 0;
    }
    for (int32_t oy = rows->first; oy <= rows->last; oy++) {
        if ((iy - oy * g->stride_h) % g->dilation_h != 0) {
            continue;
        }
        for (int32_t ox = columns->first; ox <= columns->last; ox++) {
            if ((ix - ox * g->stride_w) % g->dilation_w == 0) {
                const int32_t weight = weight_h[oy] * weight_w[ox];
                const int8_t *from = e + (oy * g->out_w + ox) * g->channels;
                for (int32_t c = 0; c < block; c++) {
                    acc[c] += from[c] * weight;
                }
            }
        }
    }
}

/* Errors of the sums as they are where nothing is flat; false where one is beyond a byte. */
static bool mcg_pooled_errors(mcg_pooled_t *p, int32_t block)
{
    mcg_q_clear();
    for (int32_t c = 0; c < block; c += 4) {
        uint32_t four = 0;
        for (uint32_t i = 0; i < 4U; i++) {
            const int32_t error = mcg_rescale(p->acc[c + (int32_t)i], p->factors.scale[0]);
            four |= ((uint32_t)mcg_ssat(error) & 0xffU) << (8U * i);
        }
        p->error[c / 4] = four;
        if (mcg_has_lowest(four)) {
            return false;
        }
    }
    return !mcg_q_is_set();
}

/* A pixel whose sums are those of the one before: errors are known but for where x is flat. */
static void mcg_pooled_again(mcg_pooled_t *p, const int8_t *x, int32_t block, int8_t *e_x)
{
    const uint32_t low = p->how.low;
    const uint32_t high = p->how.high;
    uint32_t least = p->how.ends[0];
    uint32_t most = p->how.ends[1];
    for (int32_t c = 0; c < block; c += 4) {
        const uint32_t here = mcg_load32(x + c);
        uint32_t four = mcg_select8(here, low, p->error[c / 4], 0);
        four = mcg_select8(high, here, four, 0);
        least = mcg_select8(least, four, four, least);
        most = mcg_select8(most, four, most, four);
        mcg_store32(e_x + c, four);
    }
    p->how.ends[0] = least;
    p->how.ends[1] = most;
}

/* Whether all that covers a pixel covers the one before, too. */
static inline bool mcg_pooled_alike(const mcg_cover_t *a, const mcg_cover_t *b)
{
    return a->first == b->first && a->last == b->last;
}

void mcg_avgpool2d_grad_input_s8(const mcg_pool2d_t *g, int32_t x_zero, const int8_t *e, const int8_t *x,
                                 const int32_t *weight_h, const int32_t *weight_w, const mcg_scale_t *scale,
                                 const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const mcg_panel_error_t how = {scale, clip, x, e_x, x_zero, 0, 0, 0, 0, {0, 0}, -1, false};
    const bool plain = g->dilation_h == 1 && g->dilation_w == 1;
    mcg_pooled_t p;
    p.how = how;
    mcg_panel_error_bounds(&p.how);
    mcg_fill_scale(p.factors.scale, *scale);
    for (int32_t first = 0; first < g->channels; first += MCG_BLOCK) {
        const int32_t block = mcg_min(g->channels - first, MCG_BLOCK);
        const int32_t whole = p.how.kind == 0 ? 0 : block & ~3;
        mcg_cover_t above = {0, -2};
        mcg_cover_t before = {0, -2};
        int32_t again = 0;
        int32_t at = first;
        for (int32_t iy = g->pad_top; iy < g->pad_top + g->in_h; iy++) {
            const mcg_cover_t rows = mcg_cover(iy, (g->k_h - 1) * g->dilation_h, g->stride_h, g->out_h);
            for (int32_t ix = g->pad_left; ix < g->pad_left + g->in_w; ix++) {
                const mcg_cover_t columns =
                    mcg_cover(ix, (g->k_w - 1) * g->dilation_w, g->stride_w, g->out_w);
                const bool same =
                    plain && mcg_pooled_alike(&rows, &above) && mcg_pooled_alike(&columns, &before);
                int32_t done = 0;
                again = same ? again + 1 : 0;
                if (again == 0) {
                    mcg_pooled_sums(g, e + first, weight_h, weight_w, iy, ix, &rows, &columns, block, p.acc);
                }
                if (again == 1) {
                    p.known = mcg_pooled_errors(&p, whole);
                }
                if (again != 0 && p.known) {
                    mcg_pooled_again(&p, x + at, whole, e_x + at);
                    done = whole;
                }
                if (done != block) {
                    p.how.highest = mcg_max(
                        p.how.highest, mcg_row_errors(p.acc + done, x + at + done, x_zero, p.factors.scale,
                                                      clip, block - done, e_x + at + done));
                }
                above = rows;
                before = columns;
                at += g->channels;
            }
        }
    }
    *peak = mcg_panel_error_peak(&p.how);
}
