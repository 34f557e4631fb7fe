/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_augment_s8(int32_t height, int32_t width, int32_t channels, int32_t zero, const mcg_augment_t *how,
                    uint32_t number, const int8_t *x, int8_t *y)
{
    const uint32_t places = mcg_stream(how->seed, number, MCG_STREAM_SHIFT);
    const uint32_t levels = mcg_stream(how->seed, number, MCG_STREAM_LEVELS);
    const uint32_t counter = mcg_stream(how->seed, number, MCG_STREAM_NOISE);
    const int32_t down = mcg_random_shift(places & 0xffffU, how->shift_h);
    const int32_t right = mcg_random_shift(places >> 16, how->shift_w);
    const int32_t gain = 65536 + mcg_random_part(levels & 0xffffU, how->gain);
    const int32_t offset = mcg_random_part(levels >> 16, how->offset) * 256 + 32768;
    uint32_t element = 0;
    uint32_t word = 0;
    for (int32_t row = 0; row < height; row++) {
        const int8_t *const line = x + mcg_clamp(row - down, 0, height - 1) * width * channels;
        for (int32_t column = 0; column < width; column++) {
            const int8_t *const from = line + mcg_clamp(column - right, 0, width - 1) * channels;
            for (int32_t i = 0; i < channels; i++) {
                int32_t value = (from[i] - zero) * gain + offset;
                if (how->noise != 0) {
                    /* Four numbers from each word, as everywhere. */
                    if ((element & 3U) == 0U) {
                        word = mcg_hash(counter + (element >> 2) * MCG_COUNTER_STEP);
                    } else if ((element & 3U) == 2U) {
                        word = (word >> 8) | (word << 24);
                    }
                    value +=
                        mcg_random_part((element & 1U) == 0U ? word & 0xffffU : word >> 16, how->noise) * 256;
                    element += 1U;
                }
                *y = (int8_t)mcg_clamp((value >> 16) + zero, -128, 127);
                y += 1;
            }
        }
    }
}
