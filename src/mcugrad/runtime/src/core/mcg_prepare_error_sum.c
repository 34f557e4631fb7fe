/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_prepare_error_sum(const float *a_c, const float *b_c, const float *range, int32_t *factor,
                           float *unit)
{
    const float a = a_c[1] > 0.0F ? a_c[0] : 0.0F; /* the unit of an error that is 0 does not matter */
    const float b = b_c[1] > 0.0F ? b_c[0] : 0.0F;
    const float larger = a > b ? a : b;
    const float a_most = a * a_c[1];
    const float b_most = b * b_c[1];
    const float fill = (a_most > b_most ? a_most : b_most) / larger;
    unit[0] = 0.0F;
    unit[1] = 0.0F;
    factor[0] = 0;
    factor[1] = 0;
    if (fill > 0.0F) {
        const float ratio = 127.0F / mcg_error_reach(*range, fill, (float)MCG_LEAST_REACH) * 65536.0F;
        unit[0] = larger;
        unit[1] = fill;
        factor[0] = mcg_round(a / larger * ratio, (int32_t)1 << 22);
        factor[1] = mcg_round(b / larger * ratio, (int32_t)1 << 22);
    }
}
