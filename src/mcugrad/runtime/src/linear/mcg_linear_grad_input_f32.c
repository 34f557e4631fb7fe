/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_linear_grad_input_f32(int32_t inputs, int32_t out, const float *e, const uint16_t *active,
                               const float *w, float *e_x)
{
    mcg_combine_f32(mcg_active_count(active, out), inputs, e, active, w, e_x);
}
