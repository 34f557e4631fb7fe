/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_change_block(const int8_t *change, const uint8_t *residual, int32_t count, int32_t *value)
{
    if (residual == NULL) {
        for (int32_t i = 0; i < count; i++) {
            value[i] = change[i];
        }
    } else {
        for (int32_t i = 0; i < count; i++) {
            value[i] = change[i] * 256 + residual[i] - 128;
        }
    }
}
