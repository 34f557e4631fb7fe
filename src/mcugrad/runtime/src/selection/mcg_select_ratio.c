/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_select_ratio(const float *loss, float *largest, float *ratio)
{
    if (*loss > *largest && *loss <= 3.4028235e38F) {
        *largest = *loss;
    }
    *ratio = *largest > 0.0F ? *loss / *largest : 0.0F;
}
