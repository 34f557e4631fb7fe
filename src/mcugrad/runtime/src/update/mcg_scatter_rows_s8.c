/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_scatter_rows_s8(int32_t count, int32_t residual_count, const uint16_t *active, const int8_t *w,
                         const uint8_t *residual, int8_t *trained, uint8_t *trained_residual)
{
    for (int32_t k = 0; k < active[0]; k++) {
        const int32_t o = active[1 + k];
        for (int32_t i = 0; i < count; i++) {
            trained[k * count + i] = w[o * count + i];
        }
        if (residual != NULL) {
            for (int32_t i = 0; i < residual_count; i++) {
                trained_residual[k * residual_count + i] = residual[o * residual_count + i];
            }
        }
    }
}
