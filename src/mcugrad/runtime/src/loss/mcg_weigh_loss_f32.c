/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_weigh_loss_f32(int32_t classes, uint32_t label, const float *weight, float *e, float *loss)
{
    const float factor = weight[label];
    for (int32_t i = 0; i < classes; i++) {
        e[i] *= factor;
    }
    *loss *= factor;
}
