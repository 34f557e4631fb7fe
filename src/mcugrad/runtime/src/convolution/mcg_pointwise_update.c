/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_pointwise_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                          const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                          const uint32_t *step, uint32_t tensor, int32_t rows, int8_t *w, uint8_t *residual,
                          float *w_scale, int32_t *gradient, int32_t room, uint32_t *scratch)
{
    (void)room;
    (void)scratch;
    mcg_pointwise_any_update(g, x, e, active, factor, rule, seed, step, tensor, rows, w, residual, w_scale,
                             gradient);
}
