/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_plane_scatter(const int32_t *sums, const int32_t *at, int32_t count, const uint16_t *channel,
                       mcg_panel_error_t *how)
{
    mcg_scale_t scale[MCG_PLANE_CHANNELS];
    int8_t x[MCG_PLANE_CHANNELS];
    int8_t e[MCG_PLANE_CHANNELS];
    for (int32_t i = 0; i < MCG_PLANE_CHANNELS; i++) {
        scale[i] = how->scale[channel[i]];
    }
    for (int32_t k = 0; k < count; k++) {
        for (int32_t i = 0; i < MCG_PLANE_CHANNELS; i++) {
            x[i] = how->x[at[k] + channel[i]];
        }
        how->highest = mcg_max(how->highest,
                               mcg_error_s8(sums, x, how->x_zero, scale, how->clip, MCG_PLANE_CHANNELS, e));
        for (int32_t i = 0; i < MCG_PLANE_CHANNELS; i++) {
            how->e[at[k] + channel[i]] = e[i];
        }
        sums += MCG_PLANE_CHANNELS;
    }
}
