/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_check_watch(const mcg_watch_t *watch, uint32_t *wrong)
{
    const bool loss = watch->loss >= -1.0e38F && watch->loss <= 1.0e38F;
    const bool accuracy = watch->accuracy >= 0.0F && watch->accuracy <= 1.0F;
    const bool mean = watch->drift_mean >= 0.0F && watch->drift_mean <= 1.0F;
    const bool sum = watch->drift_sum >= 0.0F && watch->drift_sum <= 2.0F * MCG_DRIFT_LIMIT;
    *wrong += watch->seen <= MCG_DRIFT_HORIZON && loss && accuracy && mean && sum ? 0U : 1U;
}
