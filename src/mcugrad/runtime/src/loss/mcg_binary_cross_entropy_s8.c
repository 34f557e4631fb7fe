/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_binary_cross_entropy_s8(int32_t outputs, int32_t channels, int32_t zero, const int8_t *logits,
                                 const float *scale, const uint8_t *label, const float *w_scale,
                                 const int32_t *clip, int8_t *e, float *c, float *loss, float *error)
{
    const float share = 1.0F / (float)outputs;
    float total = 0.0F;
    for (int32_t i = 0; i < outputs; i++) {
        const float z = (float)(logits[i] - zero) * *scale;
        const float size = z < 0.0F ? -z : z;
        const float small = mcg_exp2(-size * 1.4426950F);
        const float p = (z < 0.0F ? small : 1.0F) / (1.0F + small);
        const bool hit = label[i] != 0;
        total = total + mcg_log(1.0F + small) + (z > 0.0F && !hit ? z : 0.0F);
        if (hit && z < 0.0F) {
            total = total - z;
        }
        error[i] = (p - (hit ? 1.0F : 0.0F)) * share;
    }
    *loss = total * share;
    mcg_output_error_s8(outputs, channels, zero, logits, w_scale, clip, error, e, c);
}
