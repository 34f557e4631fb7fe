/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * A weight is the upper half of a sum in 1/65536, its residual bits are below it, and below these a random
 * number, or one half of the last bit. 127 more above make what leaves its range one comparison.
 */
#if MCG_ARMV6M_INSTRUCTIONS
/* clang-format off */
/* r0 weights less r7, r1 values, r5 factor, r6 shift, r7 127 * 65536 and more, r8 what is beyond, r9 counter, r10
 * end, r11 free, r12 residual bits, lr counter step; on the stack: whether one has left its range. */
#define MCG_STEP_FUNCTION(name) MCG_NAKED static int32_t name(MCG_SPARE const mcg_pair_change_t *c)
#define MCG_STEP_BEGIN(more)                                                                \
    ".syntax unified\n\t"                                                                   \
    "push {r4-r7, lr}\n\t"                                                                  \
    "mov r4, r8\n\t" "mov r5, r9\n\t" "mov r6, r10\n\t" "mov r7, r11\n\t"                   \
    "push {r4-r7}\n\t"                                                                      \
    "ldm r0!, {r1, r2, r3, r4, r5, r6, r7}\n\t"                                             \
    "mov r12, r3\n\t"                                                                       \
    "mov r9, r4\n\t"                                                                        \
    "movs r4, #127\n\t"                                                                     \
    "lsls r4, r4, #16\n\t"                                                                  \
    "adds r4, r4, #" more "\n\t"                                                            \
    "subs r0, r2, r4\n\t"                                                                   \
    "subs r3, r7, r4\n\t"                                                                   \
    "mov r10, r3\n\t"                                                                       \
    "movs r2, #0\n\t"                                                                       \
    "push {r2, r3}\n\t"                                                                     \
    "mov r7, r4\n\t"                                                                        \
    "movs r4, #255\n\t"                                                                     \
    "lsls r4, r4, #16\n\t"                                                                  \
    "mov r8, r4\n\t"                                                                        \
    "ldr r4, 7f\n\t"                                                                        \
    "mov lr, r4\n"                                                                          \
    "1:\n\t"
/* r2 a random word. */
#define MCG_STEP_RANDOM                                                                     \
    "mov r2, r9\n\t"                                                                        \
    "add r9, lr\n\t"                                                                        \
    "ldr r4, 8f\n\t"                                                                        \
    "lsrs r3, r2, #16\n\t" "eors r2, r3\n\t" "muls r2, r4\n\t"                              \
    "lsrs r3, r2, #15\n\t" "eors r2, r3\n\t" "muls r2, r4\n\t"                              \
    "lsrs r3, r2, #16\n\t" "eors r2, r3\n\t"
#define MCG_STEP_TURN                                                                       \
    "movs r4, #8\n\t" "rors r2, r4\n\t"
/* r3 the sum of the change and the weight. */
#define MCG_STEP_CHANGE                                                                     \
    "ldm r1!, {r3}\n\t"                                                                     \
    "muls r3, r5\n\t" "asrs r3, r6\n\t" "adcs r3, r7\n\t"                                   \
    "ldrsb r4, [r0, r7]\n\t"                                                                \
    "lsls r4, r4, #16\n\t" "adds r3, r3, r4\n\t"
#define MCG_STEP_LIMIT(back)                                                                \
    "cmp r3, r8\n\t"                                                                        \
    "blo " back "f\n\t"                                                                     \
    "bl 9f\n"                                                                               \
    back ":\n\t"
#define MCG_STEP_STORE                                                                      \
    "lsrs r4, r3, #16\n\t" "subs r4, r4, #127\n\t"                                          \
    "strb r4, [r0, r7]\n\t" "adds r0, r0, #1\n\t"
/* What is called gives the nearest that is within the range. */
#define MCG_STEP_END                                                                        \
    "bne 1b\n\t"                                                                            \
    "pop {r0, r3}\n\t"                                                                      \
    "pop {r4-r7}\n\t"                                                                       \
    "mov r8, r4\n\t" "mov r9, r5\n\t" "mov r10, r6\n\t" "mov r11, r7\n\t"                   \
    "pop {r4-r7, pc}\n"                                                                     \
    "9:\n\t"                                                                                \
    "movs r4, #1\n\t"                                                                       \
    "str r4, [sp, #0]\n\t"                                                                  \
    "cmp r3, #0\n\t"                                                                        \
    "mov r3, r8\n\t"                                                                        \
    "bge 2f\n\t"                                                                            \
    "movs r3, #1\n"                                                                         \
    "2:\n\t"                                                                                \
    "subs r3, r3, #1\n\t"                                                                   \
    "mov r4, lr\n\t"                                                                        \
    "push {r4}\n\t"                                                                         \
    "ldr r4, 7f\n\t"                                                                        \
    "mov lr, r4\n\t"                                                                        \
    "pop {pc}\n\t"                                                                          \
    ".p2align 2\n"                                                                          \
    "7:\n\t" ".word 0x9e3779b9\n"                                                           \
    "8:\n\t" ".word 0x7feb352d\n\t"

#define MCG_STEP_SR8(random, back)                                                          \
    MCG_STEP_CHANGE random "\n\t" "adds r3, r3, r4\n\t" MCG_STEP_LIMIT(back) MCG_STEP_STORE
MCG_STEP_FUNCTION(mcg_pair_sr8)
{
    __asm__ volatile(
        MCG_STEP_BEGIN("0")
        MCG_STEP_RANDOM
        MCG_STEP_SR8("uxth r4, r2", "3")
        MCG_STEP_SR8("lsrs r4, r2, #16", "4")
        MCG_STEP_TURN
        MCG_STEP_SR8("uxth r4, r2", "5")
        MCG_STEP_SR8("lsrs r4, r2, #16", "6")
        "cmp r0, r10\n\t"
        MCG_STEP_END);
}

/* Two weights share a byte; r11 what becomes of the first one's bits. */
#define MCG_STEP_SR12(at, back0, back1)                                                     \
    MCG_STEP_CHANGE                                                                         \
    "mov r4, r12\n\t" "ldrb r4, [r4, #" at "]\n\t"                                             \
    "lsls r4, r4, #28\n\t" "lsrs r4, r4, #16\n\t" "adds r3, r3, r4\n\t"                     \
    "lsls r4, r2, #16\n\t" "lsrs r4, r4, #20\n\t" "adds r3, r3, r4\n\t"                     \
    MCG_STEP_LIMIT(back0)                                                                   \
    MCG_STEP_STORE                                                                          \
    "lsls r3, r3, #16\n\t" "lsrs r3, r3, #28\n\t" "mov r11, r3\n\t"                         \
    MCG_STEP_CHANGE                                                                         \
    "mov r4, r12\n\t" "ldrb r4, [r4, #" at "]\n\t"                                          \
    "lsrs r4, r4, #4\n\t" "lsls r4, r4, #12\n\t" "adds r3, r3, r4\n\t"                      \
    "lsrs r4, r2, #20\n\t" "adds r3, r3, r4\n\t"                                            \
    MCG_STEP_LIMIT(back1)                                                                   \
    MCG_STEP_STORE                                                                          \
    "lsrs r3, r3, #12\n\t" "lsls r3, r3, #4\n\t" "add r3, r11\n\t"                          \
    "mov r4, r12\n\t" "strb r3, [r4, #" at "]\n\t"
MCG_STEP_FUNCTION(mcg_pair_sr12)
{
    __asm__ volatile(
        MCG_STEP_BEGIN("0")
        MCG_STEP_RANDOM
        MCG_STEP_SR12("0", "3", "4")
        MCG_STEP_TURN
        MCG_STEP_SR12("1", "5", "6")
        "movs r4, #2\n\t"
        "add r12, r4\n\t"
        "cmp r0, r10\n\t"
        MCG_STEP_END);
}

#define MCG_STEP_SR16(back)                                                                 \
    MCG_STEP_CHANGE                                                                         \
    "ldrb r4, [r2]\n\t" "lsls r4, r4, #8\n\t" "adds r3, r3, r4\n\t"                         \
    MCG_STEP_LIMIT(back)                                                                    \
    "lsrs r4, r3, #8\n\t" "strb r4, [r2]\n\t" "adds r2, r2, #1\n\t"                         \
    MCG_STEP_STORE
MCG_STEP_FUNCTION(mcg_pair_sr16)
{
    __asm__ volatile(
        MCG_STEP_BEGIN("128")
        "mov r2, r12\n\t"
        MCG_STEP_SR16("3")
        MCG_STEP_SR16("4")
        MCG_STEP_SR16("5")
        MCG_STEP_SR16("6")
        "mov r12, r2\n\t"
        "cmp r0, r10\n\t"
        MCG_STEP_END);
}
/* clang-format on */

bool mcg_pair_step(const mcg_pair_change_t *c, const mcg_rule_t *rule)
{
    return (rule->residual_bits == 0   ? mcg_pair_sr8(c)
            : rule->residual_bits == 4 ? mcg_pair_sr12(c)
                                       : mcg_pair_sr16(c)) != 0;
}
#else
bool mcg_pair_step(const mcg_pair_change_t *c, const mcg_rule_t *rule)
{
    const int32_t bits = rule->residual_bits;
    const int32_t count = (int32_t)(c->end - c->w);
    uint32_t word = 0;
    bool saturated = false;
    for (int32_t i = 0; i < count; i++) {
        uint8_t *const low = bits == 0 ? NULL : c->residual + i * bits / 8;
        const int32_t product = c->value[i] * c->factor;
        const int32_t change = ((product >> (c->shift - 1)) + 1) >> 1;
        const int32_t nibble = bits == 4 ? 4 * (i % 2) : 0;
        const int32_t kept = bits == 0 ? 0 : (*low >> nibble & ((1 << bits) - 1)) << (16 - bits);
        int32_t sum;
        if (i % 4 == 0) {
            word = mcg_hash(c->counter + ((uint32_t)i / 4U) * MCG_COUNTER_STEP);
        } else if (i % 4 == 2) {
            word = (word >> 8) | (word << 24);
        }
        sum = change + (c->w[i] + 127) * 65536 + kept +
              (bits == 8 ? 128 : (int32_t)((word >> 16 * (i % 2) & 0xffffU) >> bits));
        if ((uint32_t)sum >= 255U << 16) {
            sum = sum < 0 ? 0 : (255 << 16) - 1;
            saturated = true;
        }
        c->w[i] = (int8_t)((sum >> 16) - 127);
        if (bits == 4) {
            *low = (uint8_t)((*low & (0xf0 >> nibble)) | (sum >> 12 & 15) << nibble);
        } else if (bits == 8) {
            *low = (uint8_t)(sum >> 8);
        }
    }
    return saturated;
}
#endif
