/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_prepare_product(const float *a_scale, const float *b_scale, const float *y_scale, int32_t *scale)
{
    *scale = mcg_word_from_float(*a_scale * *b_scale / *y_scale);
}
