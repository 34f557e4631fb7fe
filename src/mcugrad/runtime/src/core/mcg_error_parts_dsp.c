/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

int32_t mcg_error_parts(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                        int32_t channels, int32_t at, const mcg_scale_t *same, const int32_t *clip,
                        int32_t count, int8_t *e)
{
    int32_t channel = channels < 2 ? 0 : at % channels;
    int32_t highest = 0;
    if (channels < 2) {
        return mcg_row_errors(acc, x, x_zero, same, clip, count, e);
    }
    for (int32_t i = 0; i < count;) {
        const int32_t part = mcg_min(count - i, channels - channel);
        highest =
            mcg_max(highest, mcg_row_errors(acc + i, x + i, x_zero, scale + channel, clip, part, e + i));
        i += part;
        channel = 0;
    }
    return highest;
}
