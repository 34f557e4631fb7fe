/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_augment_init(const mcg_model_t *model, mcg_augment_t *how, int32_t shift_h, int32_t shift_w,
                              float gain, float offset, float noise, uint32_t seed)
{
    const float per_unit = 256.0F / model->input_scale;
    mcg_augment_t wanted;
    if (how == NULL) {
        return MCG_ERR_NULL;
    }
    wanted.shift_h = shift_h;
    wanted.shift_w = shift_w;
    wanted.gain = mcg_round(gain * 65536.0F, 131072);
    wanted.offset = mcg_round(offset * per_unit, 131072);
    wanted.noise = mcg_round(noise * 1.7320508F * per_unit, 131072);
    wanted.seed = seed;
    wanted.count = 0;
    /* A negative number may have been rounded to 0; what is no number has become negative. */
    if (gain < 0.0F || offset < 0.0F || noise < 0.0F || !mcg_can_augment(model, &wanted)) {
        return MCG_ERR_ARG;
    }
    *how = wanted;
    return MCG_OK;
}
