/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Up to so many bits an error can be shifted as it is. */
#define MCG_RESCALE_PRE 22

/* Factors of neighbouring elements, without their pre-shifts, and these. */
typedef struct {
    union {
        uint32_t word; /* where words begin: mcg_row_errors reads them */
        mcg_scale_t scale[MCG_BLOCK];
    } of;
    uint8_t pre[MCG_BLOCK];
    bool plain; /* whether no pre-shift is larger than MCG_RESCALE_PRE */
} mcg_rescale_t;

static void mcg_rescale_prepare(const mcg_scale_t *scale, int32_t channels, int32_t channel, int32_t count,
                                mcg_rescale_t *block)
{
    block->plain = true;
    for (int32_t i = 0; i < count; i++) {
        const mcg_scale_t s = scale[channel];
        block->of.scale[i].mult = s.mult;
        block->of.scale[i].shift = s.shift;
        block->of.scale[i].pre = 0;
        block->pre[i] = s.pre;
        block->plain = block->plain && s.pre <= MCG_RESCALE_PRE;
        channel = channel + 1 == channels ? 0 : channel + 1;
    }
}

static void mcg_rescale_shift(const mcg_rescale_t *block, int32_t from, const int8_t *e, int32_t sign,
                              int32_t count, int32_t *acc)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t error = sign * e[i];
        const uint8_t pre = block->pre[from + i];
        acc[i] = block->plain ? error * ((int32_t)1 << pre) : mcg_pre_shift(error, pre);
    }
}

/* Factors of joints are near 1, so errors are shifted first. Factors that repeat are laid out once, for as
 * many elements as are handled at a time. */
void mcg_rescale_error_s8(int32_t rows, int32_t count, int32_t pitch, int32_t offset, int32_t channels,
                          int32_t x_zero, int32_t sign, const int8_t *e, const int8_t *x,
                          const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak)
{
    const bool repeat = channels <= MCG_BLOCK;
    const int32_t span = repeat ? MCG_BLOCK / channels * channels : channels;
    mcg_rescale_t factors;
    int32_t acc[MCG_BLOCK];
    int32_t highest = 0;
    if (repeat) {
        mcg_rescale_prepare(scale, channels, 0, span, &factors);
    }
    e += offset;
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t first = 0; first < count;) {
            const int32_t at = row * count + first;
            const int32_t from = at % span;
            const int32_t block = mcg_min(mcg_min(count - first, MCG_BLOCK), span - from);
            if (!repeat) {
                mcg_rescale_prepare(scale, channels, from, block, &factors);
            }
            mcg_rescale_shift(&factors, repeat ? from : 0, e + row * pitch + first, sign, block, acc);
            highest =
                mcg_max(highest, mcg_row_errors(acc, x + at, x_zero, factors.of.scale + (repeat ? from : 0),
                                                clip, block, e_x + at));
            first += block;
        }
    }
    *peak = highest;
}
