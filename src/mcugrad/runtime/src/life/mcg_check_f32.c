/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_check_f32(int32_t count, float least, float most, const float *x, uint32_t *wrong)
{
    for (int32_t i = 0; i < count; i++) {
        *wrong += x[i] >= least && x[i] <= most ? 0U : 1U; /* what is no number is neither */
    }
}
