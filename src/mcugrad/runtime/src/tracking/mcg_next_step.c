/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_next_step(uint32_t *step) { *step += 1U; }
