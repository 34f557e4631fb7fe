/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_gather_rows_s8(int32_t rows, int32_t count, int32_t residual_count, const uint16_t *active,
                        const int8_t *frozen, const uint8_t *frozen_residual, const int8_t *trained,
                        const uint8_t *trained_residual, int8_t *w, uint8_t *residual)
{
    int32_t k = 0;
    for (int32_t o = 0; o < rows; o++) {
        const bool trains = k < active[0] && active[1 + k] == o;
        const int32_t place = trains ? k : o - k;
        const int8_t *from = (trains ? trained : frozen) + place * count;
        for (int32_t i = 0; i < count; i++) {
            w[o * count + i] = from[i];
        }
        if (residual != NULL) {
            const uint8_t *bits = (trains ? trained_residual : frozen_residual) + place * residual_count;
            for (int32_t i = 0; i < residual_count; i++) {
                residual[o * residual_count + i] = bits[i];
            }
        }
        k += trains ? 1 : 0;
    }
}
