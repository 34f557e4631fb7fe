/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* One channel, whose factor is as SMMULR has it. Magnitudes are not held to 127 before one is known to be
 * beyond. */
static int32_t mcg_scatter_fast(const int32_t *sums, const int32_t *at, int32_t count, int32_t channel,
                                int32_t factor, const mcg_panel_error_t *how)
{
    const int8_t *const x = how->x + channel;
    int8_t *const e = how->e + channel;
    const int32_t low = mcg_byte(how->low, 0);
    const uint32_t range = (uint32_t)(mcg_byte(how->high, 0) - low);
    const int32_t *const end = at + count;
    int32_t least = 0;
    int32_t most = 0;
    while (at != end) {
        const int32_t place = *at++;
        int32_t error = mcg_smmulr(*sums, factor);
        if ((uint32_t)(x[place] - low) > range) {
            error = 0;
        }
        least = mcg_min(least, error);
        most = mcg_max(most, error);
        e[place] = (int8_t)error;
        sums += MCG_PLANE_CHANNELS;
    }
    return mcg_max(most, -least);
}

/* The same one by one. */
static int32_t mcg_scatter_each(const int32_t *sums, const int32_t *at, int32_t count, int32_t channel,
                                const mcg_panel_error_t *how)
{
    int32_t highest = 0;
    for (int32_t k = 0; k < count; k++) {
        const int32_t place = at[k] + channel;
        highest = mcg_max(highest, mcg_error_s8(sums, how->x + place, how->x_zero, how->scale + channel,
                                                how->clip, 1, how->e + place));
        sums += MCG_PLANE_CHANNELS;
    }
    return highest;
}

void mcg_plane_scatter(const int32_t *sums, const int32_t *at, int32_t count, float largest,
                       const uint16_t *channel, int32_t channels, mcg_panel_error_t *how)
{
    for (int32_t i = 0; i < channels; i++) {
        const int32_t o = channel[i];
        int32_t factor;
        int32_t highest = 128;
        if (mcg_panel_factors(how->scale + o, 1, largest, &factor) && how->kind != 0) {
            highest = mcg_scatter_fast(sums + i, at, count, o, factor, how);
        }
        if (highest > 127) {
            highest = mcg_scatter_each(sums + i, at, count, o, how);
        }
        how->highest = mcg_max(how->highest, highest);
    }
}
