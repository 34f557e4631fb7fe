/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * A factor's upper 16 bits: of outputs up to 255 the error is 2^-8 at most, and what is cut off of the
 * product 2^-9, so what is 2^-7 away from a tie is sure. That margin is added before the shift, together with
 * one half. With 0 in place of all of this every output is close to a tie.
 */
void mcg_pair_factor(float factor, int32_t largest, mcg_pair_row_t *row)
{
    const uint32_t bits = mcg_float_bits(factor);
    const int32_t shift = 130 - (int32_t)(bits >> 23);
    row->mult = 0;
    row->round = 0;
    row->shift = 9;
    if (shift >= 9 && shift <= 30 && largest < ((int32_t)1 << 26)) {
        row->mult = (int32_t)(((bits & 0x7fffffU) + 0x800080U) >> 8);
        row->round = (int32_t)65 << (shift - 7);
        row->shift = shift;
    }
}
