/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Bytes that are gathered before they become words, an even number. */
#define MCG_PAIR_BYTES 64

/* Pairs that are packed at a time: sums of their halves do not meet. */
#define MCG_PAIR_RUN 256

#if MCG_ARMV6M_INSTRUCTIONS
/* clang-format off */
/* A pair: byte at r3 as the lower half, byte at r4 as the upper one, from r0 on; r8 bytes from word to word. */
#define MCG_PAIR_PACK(low, high)                                                                \
    "ldrsb r2, [r0, " low "]\n\t" "ldrsb r7, [r0, " high "]\n\t"                                \
    "lsls r7, r7, #16\n\t" "adds r2, r2, r7\n\t"                                                \
    "str r2, [r1]\n\t" "add r1, r8\n\t" "add r9, r2\n\t"

/* Neighbours `step` bytes apart as words, of which it returns the sum; two at a time, which is entered in its
 * middle where their number is odd. */
MCG_NAKED
static uint32_t mcg_pair_pack(MCG_SPARE const int8_t *from, MCG_SPARE uint32_t *to, MCG_SPARE int32_t step,
                              MCG_SPARE int32_t pairs, MCG_SPARE int32_t pitch)
{
    __asm__ volatile(
        ".syntax unified\n\t"
        "push {r4-r7, lr}\n\t"
        "mov r4, r8\n\t" "mov r5, r9\n\t"
        "push {r4, r5}\n\t"
        "ldr r7, [sp, #28]\n\t"
        "lsls r6, r7, #2\n\t"
        "mov r8, r6\n\t"
        "muls r6, r3\n\t"
        "adds r6, r6, r1\n\t"
        "mov r12, r6\n\t"  /* end of the words */
        "movs r6, #0\n\t"
        "mov r9, r6\n\t"
        "mov r6, r3\n\t"
        "movs r3, #0\n\t"
        "mov r4, r2\n\t"
        "cmp r7, #1\n\t"
        "bne 1f\n\t"
        "mov r3, r2\n\t"   /* of a row the first is the upper half */
        "movs r4, #0\n"
        "1:\n\t"
        "lsls r7, r2, #2\n\t"
        "mov lr, r7\n\t"
        "lsls r7, r2, #1\n\t"
        "adds r5, r3, r7\n\t"
        "lsrs r6, r6, #1\n\t"
        "bcc 2f\n\t"
        "subs r0, r0, r7\n\t"
        "adds r6, r4, r7\n\t"
        "b 3f\n"
        "2:\n\t"
        "adds r6, r4, r7\n"
        "4:\n\t"
        MCG_PAIR_PACK("r3", "r4")
        "3:\n\t"
        MCG_PAIR_PACK("r5", "r6")
        "add r0, lr\n\t"
        "cmp r1, r12\n\t"
        "bne 4b\n\t"
        "mov r0, r9\n\t"
        "pop {r4, r5}\n\t"
        "mov r8, r4\n\t" "mov r9, r5\n\t"
        "pop {r4-r7, pc}\n\t");
}
/* clang-format on */
#else
static uint32_t mcg_pair_pack(const int8_t *from, uint32_t *to, int32_t step, int32_t pairs, int32_t pitch)
{
    const int32_t low = pitch == 1 ? step : 0; /* of a row the first is the upper half */
    uint32_t sum = 0;
    for (int32_t i = 0; i < pairs; i++) {
        const int8_t *const pair = from + 2 * i * step;
        to[i * pitch] = (uint32_t)pair[low] + ((uint32_t)pair[step - low] << 16);
        sum += to[i * pitch];
    }
    return sum;
}
#endif

/* Neighbours `step` bytes apart as words; behind an odd number there is 0. Returns their sum. */
static int32_t mcg_pair_run(const int8_t *from, int32_t step, int32_t count, int32_t pitch, uint32_t *to)
{
    int32_t sum = 0;
    for (; count >= 2; count -= 2 * MCG_PAIR_RUN) {
        const int32_t pairs = mcg_min(count / 2, MCG_PAIR_RUN);
        const uint32_t words = mcg_pair_pack(from, to, step, pairs, pitch);
        const int32_t low = (int16_t)words;
        sum += low + (int16_t)((words - (uint32_t)low) >> 16);
        from += 2 * pairs * step;
        to += pairs * pitch;
    }
    if (count % 2 != 0) {
        *to = (uint32_t)*from << (pitch == 1 ? 16 : 0);
        sum += *from;
    }
    return sum;
}

/* One of the two parts that a byte is the sum of. */
static int32_t mcg_pair_half(int32_t value, int32_t half)
{
    const int32_t first = value >> 1;
    return half == 0 ? value : half == 1 ? first : value - first;
}

/* Terms that are no neighbours, one by one; from which tap and term on. */
static void mcg_pair_gather(const mcg_pair_line_t *l, int32_t tap, int32_t term, int32_t count, int8_t *to)
{
    for (int32_t i = 0; i < count; i++) {
        const bool there = tap >= l->low && tap < l->high;
        to[i] = (int8_t)(there ? mcg_pair_half(l->at[tap * l->tap + mcg_active_at(l->active, term) * l->term],
                                               l->half)
                               : l->fill);
        if (++term == l->terms) {
            term = 0;
            tap++;
        }
    }
}

/* Terms of taps that are beside the map. */
static int32_t mcg_pair_fill(int32_t value, int32_t count, int32_t pitch, uint32_t *to)
{
    const uint32_t pair = (uint32_t)value + ((uint32_t)value << 16);
    for (int32_t i = 0; i < count; i += 2) {
        *to = pair;
        to += pitch;
    }
    return value * count;
}

/* Taps of one term as a column: runs within the map, and word by word what is beside it. */
static void mcg_pair_taps(const mcg_pair_line_t *l, uint32_t *to)
{
    int32_t from = 0;
    while (from < l->taps) {
        int32_t n = l->high - from;
        if (from >= l->low && n >= 2) {
            n -= n % 2;
            (void)mcg_pair_pack(l->at + from * l->tap, to, l->tap, n / 2, 4);
        } else {
            int32_t pair[2] = {l->fill, l->fill};
            for (n = 0; n < 2; n++) {
                if (from + n >= l->low && from + n < l->high) {
                    pair[n] = l->at[(from + n) * l->tap];
                }
            }
            *to = (uint32_t)pair[0] + ((uint32_t)pair[1] << 16);
        }
        from += n;
        to += 2 * n;
    }
}

int32_t mcg_pair_line(const mcg_pair_line_t *line, int32_t pitch, uint32_t *to)
{
    const bool plain = line->active == NULL && line->half == 0;
    const int32_t terms = line->terms;
    const int32_t step = terms == 1 ? line->tap : line->term;
    const bool neighbours = line->tap == terms * step; /* also from tap to tap */
    const int32_t low = line->low;
    const int32_t high = line->high;
    int32_t count = terms * line->taps; /* that are left */
    int32_t tap = 0;
    int32_t from = 0; /* term */
    int32_t sum = 0;
    if (plain && neighbours && low == 0 && high == line->taps) {
        return mcg_pair_run(line->at, step, count, pitch, to);
    }
    if (plain && terms == 1 && pitch > 1) {
        mcg_pair_taps(line, to);
        return 0;
    }
    while (count > 0) {
        const bool there = tap >= low && tap < high;
        const int32_t end = there && neighbours ? high : !there && tap < low ? low : tap + 1;
        int32_t n = mcg_min((end - tap) * terms - from, count);
        n -= n == count ? 0 : n % 2;
        if (plain && n > 0) {
            sum += there ? mcg_pair_run(line->at + tap * line->tap + from * step, step, n, pitch, to)
                         : mcg_pair_fill(line->fill, n, pitch, to);
        } else { /* what is no run, or a pair of two of them */
            int8_t byte[MCG_PAIR_BYTES];
            n = mcg_min(count, plain ? 2 : MCG_PAIR_BYTES);
            mcg_pair_gather(line, tap, from, n, byte);
            sum += mcg_pair_run(byte, 1, n, pitch, to);
        }
        to += (n + 1) / 2 * pitch;
        count -= n;
        for (from += n; from >= terms; from -= terms) {
            tap++;
        }
    }
    return sum;
}
