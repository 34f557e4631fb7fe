/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

void mcg_select_samples(uint32_t share, uint32_t batch, const uint32_t *seed, const uint32_t *step,
                        uint32_t stream, const float *whole, int32_t *taken, float *rate)
{
    *taken = (mcg_hash(mcg_stream(*seed, *step / batch, stream)) & 0xffffU) < share;
    *rate = *taken != 0 ? *whole : 0.0F;
}
