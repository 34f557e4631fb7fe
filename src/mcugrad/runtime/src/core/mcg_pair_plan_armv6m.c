/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

bool mcg_pair_plan(int32_t steps, int32_t rows, int32_t fours, int32_t room, uint32_t *scratch,
                   mcg_pair_plan_t *plan)
{
    const int32_t each = steps + 4 + 4 * fours;
    const int32_t words = room / 4 - 4 * steps;
    int32_t most = rows;
    if (words < each) {
        return false;
    }
    if (rows * each > words) {
        most = words / each;
    }
    plan->blocks = 1;
    plan->rows = 1;
    while (plan->blocks * most < rows) { /* a quotient would take as long */
        plan->blocks++;
    }
    while (plan->blocks * plan->rows < rows) { /* as many in each, for what they share is done anew in each */
        plan->rows++;
    }
    plan->fours = fours;
    plan->row = (mcg_pair_row_t *)scratch;
    plan->sums = (int32_t *)(plan->row + plan->rows);
    plan->b = (uint32_t *)plan->sums + 4 * fours * plan->rows;
    plan->a = plan->b + 4 * steps;
    return true;
}
