/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Halves are less their zero points already. */
void mcg_panel_lower(const uint32_t *b, int32_t steps, int32_t a_zero, int32_t rows, int32_t *sums)
{
    (void)b;
    (void)steps;
    (void)a_zero;
    (void)rows;
    (void)sums;
}
