/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

bool mcg_plane_straight(const mcg_conv2d_t *g, mcg_plane_axes_t *a)
{
    const mcg_plane_axes_t straight = {
        *g, g->in_w * g->in_c, g->in_c, g->out_w * g->out_c, g->out_c, 0, g->k_w, 1, false, 0, 0, 0, 0, 0};
    *a = straight;
    return mcg_plane_axes(a);
}
