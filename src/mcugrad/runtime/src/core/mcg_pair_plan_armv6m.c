/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_pair_plan(int32_t steps, int32_t rows, int32_t fours, int32_t room, uint32_t *scratch, uint32_t *few,
                   mcg_pair_plan_t *plan)
{
    const int32_t fits = (room / 4 - 4 * steps) / (steps + 4 + 4 * fours);
    plan->whole = steps > 0 && fits >= mcg_min(rows, MCG_PAIR_LEAST);
    plan->rows = mcg_min(rows, plan->whole ? fits : MCG_PAIR_ROWS);
    plan->fours = plan->whole ? fours : 1;
    plan->row = (mcg_pair_row_t *)(plan->whole ? scratch : few);
    plan->sums = (int32_t *)(plan->row + plan->rows);
    plan->b = (uint32_t *)plan->sums + 4 * plan->fours * plan->rows;
    plan->a = plan->b + 4 * (plan->whole ? steps : MCG_PAIR_PART);
}
