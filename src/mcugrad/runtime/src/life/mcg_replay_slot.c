/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* A full class gives way to itself, as in a reservoir of its own; any other takes a place from the largest.
 */
void mcg_replay_slot(int32_t capacity, int32_t classes, int32_t stride, uint32_t label, uint32_t seed,
                     const uint32_t *memory, uint32_t *count, uint32_t *added, uint32_t *seen, uint32_t *held,
                     uint8_t *full, int32_t *slot)
{
    const uint32_t number = *added;
    const uint32_t random = mcg_stream(seed, number, MCG_STREAM_PLACE);
    uint32_t most = 0;
    uint32_t pick;
    bool from_largest;
    *slot = -1;
    *added = number + 1U;
    seen[label] += seen[label] < 0xffffffffU ? 1U : 0U;
    if (*count < (uint32_t)capacity) {
        *slot = (int32_t)*count;
        *count += 1U;
        held[label] += 1U;
        return;
    }
    for (int32_t c = 0; c < classes; c++) {
        most = held[c] > most ? held[c] : most;
    }
    pick = 0;
    for (int32_t c = 0; c < classes; c++) {
        if (held[c] == most) {
            full[c] = 1;
            pick += most;
        }
    }
    from_largest = full[label] == 0U;
    if (from_largest) {
        pick = random % pick;
    } else if (random % seen[label] < held[label]) {
        pick = mcg_stream(seed, number, MCG_STREAM_OWN) % held[label];
    } else {
        return;
    }
    for (int32_t i = 0; i < capacity; i++) {
        const uint32_t c = memory[i * stride];
        if (from_largest ? held[c] == most : c == label) {
            if (pick == 0U) {
                *slot = i;
                held[c] -= 1U;
                held[label] += 1U;
                return;
            }
            pick -= 1U;
        }
    }
}
