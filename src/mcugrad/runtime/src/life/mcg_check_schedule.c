/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_check_schedule(const mcg_schedule_t *schedule, uint32_t *wrong)
{
    *wrong += mcg_schedule_is_valid(schedule) ? 0U : 1U;
}
