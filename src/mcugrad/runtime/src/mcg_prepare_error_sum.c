/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_prepare_error_sum(const float *a_c, const float *b_c, float *range, int32_t *factor, float *unit)
{
    const float larger = *a_c > *b_c ? *a_c : *b_c;
    if (*range < MCG_LEAST_RANGE) {
        *range = MCG_LEAST_RANGE;
    }
    *unit = larger;
    factor[0] = 0;
    factor[1] = 0;
    if (larger > 0.0F) {
        const float ratio = 127.0F / *range * 65536.0F;
        factor[0] = mcg_round(*a_c / larger * ratio, (int32_t)1 << 22);
        factor[1] = mcg_round(*b_c / larger * ratio, (int32_t)1 << 22);
    }
}
