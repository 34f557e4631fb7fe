/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Far more steps than an int32 peak asks for; ends the loop when the state is not a number that can shrink.
 */
#define MCG_MOST_STEPS 128

void mcg_track_scale_steps(int32_t levels, const int32_t *peak, float *fill, float *scale, int32_t *saturated)
{
    if (*peak > 0) {
        float in_use = *fill - *fill * MCG_SCALE_DECAY;
        const float now = (float)*peak / (float)levels;
        *saturated += *peak > levels ? 1 : 0;
        in_use = in_use > now ? in_use : now;
        for (int32_t i = 0; i < MCG_MOST_STEPS && in_use > 1.0F; i++) {
            *scale *= MCG_GROWTH;
            in_use /= MCG_GROWTH;
        }
        if (in_use < MCG_FILL_LEAST) {
            *scale /= MCG_GROWTH;
            in_use *= MCG_GROWTH;
        }
        *fill = in_use;
    }
}
