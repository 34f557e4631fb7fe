/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

#if MCG_MVE_INSTRUCTIONS
/* clang-format off */
/* The sums of two rows: the first in the low word. */
MCG_NAKED static uint64_t mcg_fold_two(MCG_SPARE const uint32_t *a, MCG_SPARE int32_t steps)
{
    __asm__ volatile(
        "mov r3, r0\n\t"
        "mov r0, #0\n\t"
        "mov r2, #0\n\t"
        "1:\n\t"
        "vld20.32 {q0, q1}, [r3]\n\t"
        "vld21.32 {q0, q1}, [r3]!\n\t"
        "subs r1, r1, #4\n\t"
        "vaddva.s8 r0, q0\n\t"
        "vaddva.s8 r2, q1\n\t"
        "bne 1b\n\t"
        "mov r1, r2\n\t"
        "bx lr\n\t");
}
/* clang-format on */
#else
static uint64_t mcg_fold_two(const uint32_t *a, int32_t steps)
{
    uint32_t sum[2] = {0, 0};
    for (int32_t i = 0; i < 2 * steps; i++) {
        for (uint32_t k = 0; k < 4U; k++) {
            sum[i % 2] += (uint32_t)mcg_byte(a[i], k);
        }
    }
    return (uint64_t)sum[1] << 32 | sum[0];
}
#endif

void mcg_panel_fold(const uint32_t *a, int32_t rows, int32_t steps, int32_t zero, int32_t a_zero,
                    int32_t *start)
{
    const int32_t none = 4 * steps * a_zero;
    for (int32_t o = 0; zero != 0 && o < rows; o += 2) {
        const uint64_t two = mcg_fold_two(a, steps);
        const int32_t first = zero * ((int32_t)(uint32_t)two - none);
        const int32_t second = zero * ((int32_t)(uint32_t)(two >> 32) - none);
        for (int32_t i = 0; i < 4; i++) {
            start[i] -= first;
            start[i + 4] -= second;
        }
        a += 2 * steps;
        start += 8;
    }
}
