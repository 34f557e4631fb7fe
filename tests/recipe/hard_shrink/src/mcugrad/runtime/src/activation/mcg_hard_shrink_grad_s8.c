/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_hard_shrink_grad_s8(int32_t count, int32_t y_zero, const int8_t *e, const int8_t *y, int8_t *e_x)
{
    for (int32_t i = 0; i < count; i++) {
        e_x[i] = (int8_t)(y[i] != y_zero ? e[i] : 0);
    }
}
