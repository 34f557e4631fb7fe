/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_maxpool2d_grad_kept_s8(const mcg_pool2d_t *g, const int8_t *e, const uint8_t *kept, int8_t *e_x)
{
    mcg_maxpool2d_spread_kept(g, e, kept, e_x);
}
