/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

MCG_APART
void mcg_add_products_s8(const mcg_products_t *p, int32_t count, int32_t *MCG_RESTRICT acc)
{
    if (p->terms == 3) {
        const int8_t *MCG_RESTRICT a0 = p->a[0];
        const int8_t *MCG_RESTRICT a1 = p->a[1];
        const int8_t *MCG_RESTRICT a2 = p->a[2];
        const int8_t *MCG_RESTRICT b0 = p->b[0];
        const int8_t *MCG_RESTRICT b1 = p->b[1];
        const int8_t *MCG_RESTRICT b2 = p->b[2];
        MCG_ROLLED
        for (int32_t i = 0; i < count; i++) {
            acc[i] += a0[i] * b0[i] + a1[i] * b1[i] + a2[i] * b2[i];
        }
        return;
    }
    for (int32_t k = 0; k < p->terms; k++) {
        const int8_t *MCG_RESTRICT a = p->a[k];
        const int8_t *MCG_RESTRICT b = p->b[k];
        for (int32_t i = 0; i < count; i++) {
            acc[i] += a[i] * b[i];
        }
    }
}
