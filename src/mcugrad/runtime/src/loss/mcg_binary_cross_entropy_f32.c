/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_binary_cross_entropy_f32(int32_t outputs, const float *logits, const uint8_t *label, float *e,
                                  float *loss)
{
    const float share = 1.0F / (float)outputs;
    float total = 0.0F;
    for (int32_t i = 0; i < outputs; i++) {
        const float z = logits[i];
        const float size = z < 0.0F ? -z : z;
        const float small = mcg_exp2(-size * 1.4426950F);
        const float p = (z < 0.0F ? small : 1.0F) / (1.0F + small);
        const bool hit = label[i] != 0;
        total = total + mcg_log(1.0F + small) + (z > 0.0F && !hit ? z : 0.0F);
        if (hit && z < 0.0F) {
            total = total - z;
        }
        e[i] = (p - (hit ? 1.0F : 0.0F)) * share;
    }
    *loss = total * share;
}
