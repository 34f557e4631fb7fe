/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_mean_rate(const float *rate, int32_t batch, float *mean) { *mean = *rate / (float)batch; }
