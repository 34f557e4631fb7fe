/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/*
 * Four channels of a pixel at a time, as mcg_panel_output makes them: two results share a word. A ReLU's
 * outputs are often beyond int8, so its peak is that of halves. Others seldom are: where none was, the peak
 * is that of bytes from the lower bound on, and else it is looked for once more.
 */
#if MCG_DSP_INSTRUCTIONS && MCG_ARM_FLOATS
/* clang-format off */
/* Sums to s0 to s3; r4 the first and third channel, r5 the second and fourth. */
#define MCG_PLANE_FLOATS(to)                                                     \
    "vldmia r0!, {s0-s3}\n\t"                                                    \
    "vcvt.f32.s32 s0, s0\n\t" "vcvt.f32.s32 s1, s1\n\t"                          \
    "vcvt.f32.s32 s2, s2\n\t" "vcvt.f32.s32 s3, s3\n\t"                          \
    "vmul.f32 s0, s0, s4\n\t" "vmul.f32 s1, s1, s5\n\t"                          \
    "vmul.f32 s2, s2, s6\n\t" "vmul.f32 s3, s3, s7\n\t"                          \
    "vcvtr." to ".f32 s0, s0\n\t" "vcvtr." to ".f32 s1, s1\n\t"                  \
    "vcvtr." to ".f32 s2, s2\n\t" "vcvtr." to ".f32 s3, s3\n\t"                  \
    "vmov r4, r5, s0, s1\n\t" "vmov r6, r7, s2, s3\n\t"                          \
    "pkhbt r4, r4, r6, lsl #16\n\t" "pkhbt r5, r5, r7, lsl #16\n\t"
/* r4 four bytes. */
#define MCG_PLANE_BYTES                                                          \
    "usat16 r4, #8, r4\n\t" "usat16 r5, #8, r5\n\t"                              \
    "orr r4, r4, r5, lsl #8\n\t"
#define MCG_PLANE_STORE                                                          \
    "ldr r7, [r1], #4\n\t"                                                       \
    "eor r4, r4, #0x80808080\n\t"                                                \
    "str r4, [r2, r7]\n\t"
#define MCG_PLANE_RELU                                                           \
    MCG_PLANE_FLOATS("u32")                                                      \
    "ssub16 r6, r12, r4\n\t" "sel r12, r12, r4\n\t"                              \
    "ssub16 r6, r12, r5\n\t" "sel r12, r12, r5\n\t"                              \
    MCG_PLANE_BYTES                                                              \
    MCG_PLANE_STORE
#define MCG_PLANE_ABOVE                                                          \
    MCG_PLANE_FLOATS("s32")                                                      \
    "sadd16 r4, r4, lr\n\t" "sadd16 r5, r5, lr\n\t"                              \
    MCG_PLANE_BYTES                                                              \
    "usub8 r6, r12, r4\n\t" "sel r12, r12, r4\n\t"                               \
    "usub8 r6, r8, r4\n\t" "sel r8, r4, r8\n\t"                                  \
    "uqadd8 r4, r4, r9\n\t"                                                      \
    MCG_PLANE_STORE
/* Pixels two by two; an odd one first. */
#define MCG_PLANE_PIXELS(pixel)                                                  \
    "sub r4, r3, r0\n\t"                                                         \
    "tst r4, #16\n\t"                                                            \
    "bne 2f\n\t"                                                                 \
    "1:\n\t"                                                                     \
    pixel                                                                        \
    "2:\n\t"                                                                     \
    pixel                                                                        \
    "cmp r0, r3\n\t"                                                             \
    "bne 1b\n\t"

/* r0 sums; r1 where outputs are; r2 outputs; r3 end of the sums; then factors, and the largest so far. */
MCG_NAKED static uint32_t mcg_plane_relu(MCG_SPARE const int32_t *sums, MCG_SPARE const int32_t *at,
                                         MCG_SPARE int8_t *y, MCG_SPARE const int32_t *end,
                                         MCG_SPARE const float *scale, MCG_SPARE uint32_t most)
{
    __asm__ volatile(
        "push {r4-r7}\n\t"
        "ldrd r4, r12, [sp, #16]\n\t"
        "vldmia r4, {s4-s7}\n\t"
        MCG_PLANE_PIXELS(MCG_PLANE_RELU)
        "mov r0, r12\n\t"
        "pop {r4-r7}\n\t"
        "bx lr\n\t");
}

/* Then factors, the zero point from the lower bound on, in both halves, where the smallest and the largest byte
 * so far are, and the bound from -128 on, in four bytes. */
MCG_NAKED static void mcg_plane_above(MCG_SPARE const int32_t *sums, MCG_SPARE const int32_t *at,
                                      MCG_SPARE int8_t *y, MCG_SPARE const int32_t *end,
                                      MCG_SPARE const float *scale, MCG_SPARE uint32_t zero,
                                      MCG_SPARE uint32_t *ends, MCG_SPARE uint32_t low)
{
    __asm__ volatile(
        "push {r4-r9, lr}\n\t"
        "ldrd r4, lr, [sp, #28]\n\t"
        "vldmia r4, {s4-s7}\n\t"
        "ldrd r4, r9, [sp, #36]\n\t"
        "ldm r4, {r8, r12}\n\t"
        MCG_PLANE_PIXELS(MCG_PLANE_ABOVE)
        "ldr r4, [sp, #36]\n\t"
        "stm r4, {r8, r12}\n\t"
        "pop {r4-r9, pc}\n\t");
}
/* clang-format on */
#else
/* First and third of four channels, or second and fourth. */
static uint32_t mcg_plane_two(const int32_t *sums, const float *scale, bool relu)
{
    const int32_t a = mcg_nearest((float)sums[0] * scale[0]);
    const int32_t b = mcg_nearest((float)sums[2] * scale[2]);
    return relu ? mcg_halves(mcg_max(a, 0), mcg_max(b, 0)) : mcg_halves(a, b);
}

static uint32_t mcg_plane_sum(uint32_t a, uint32_t b)
{
    return mcg_halves(mcg_half(a, 0) + mcg_half(b, 0), mcg_half(a, 1) + mcg_half(b, 1));
}

static uint32_t mcg_plane_relu(const int32_t *sums, const int32_t *at, int8_t *y, const int32_t *end,
                               const float *scale, uint32_t most)
{
    for (; sums != end; sums += MCG_PLANE_CHANNELS) {
        const uint32_t a = mcg_plane_two(sums, scale, true);
        const uint32_t b = mcg_plane_two(sums + 1, scale + 1, true);
        most = mcg_select16(most, a, most, a);
        most = mcg_select16(most, b, most, b);
        mcg_store32(y + *at++, (mcg_usat16(a) | mcg_usat16(b) << 8) ^ 0x80808080U);
    }
    return most;
}

static void mcg_plane_above(const int32_t *sums, const int32_t *at, int8_t *y, const int32_t *end,
                            const float *scale, uint32_t zero, uint32_t *ends, uint32_t low)
{
    for (; sums != end; sums += MCG_PLANE_CHANNELS) {
        const uint32_t a = mcg_plane_two(sums, scale, false);
        const uint32_t b = mcg_plane_two(sums + 1, scale + 1, false);
        const uint32_t four = mcg_usat16(mcg_plane_sum(a, zero)) | mcg_usat16(mcg_plane_sum(b, zero)) << 8;
        /* From -128 on again: bytes that are compared have signs here. */
        ends[1] = mcg_select8(ends[1] ^ 0x80808080U, four ^ 0x80808080U, ends[1], four);
        ends[0] = mcg_select8(ends[0] ^ 0x80808080U, four ^ 0x80808080U, four, ends[0]);
        mcg_store32(y + *at++, mcg_panel_raised(four, low) ^ 0x80808080U);
    }
}
#endif

/* Whether a byte is 255. */
static bool mcg_plane_is_full(uint32_t four) { return ((~four - 0x01010101U) & four & 0x80808080U) != 0U; }

/* No bounds but a lower one; false where an output is beyond a byte, and the ends are as they were. */
static bool mcg_plane_bytes(const int32_t *sums, const int32_t *at, int8_t *y, const int32_t *end,
                            const float *scale, mcg_panel_output_t *how)
{
    const int32_t low = mcg_panel_low(how);
    const uint32_t zero = (uint32_t)-low;
    const uint32_t more = (uint32_t)(how->zero + 128 + low);
    uint32_t ends[2];
    ends[0] = how->ends[0];
    ends[1] = how->ends[1];
    mcg_q_clear();
    mcg_plane_above(sums, at, y, end, scale, zero | zero << 16, ends, more * 0x01010101U);
    /* What is below a bound counts as the bound: there Q tells nothing. */
    if (low == how->clip[0] ? mcg_plane_is_full(ends[1]) : mcg_q_is_set()) {
        return false;
    }
    how->ends[0] = ends[0];
    how->ends[1] = ends[1];
    return true;
}

void mcg_plane_output(const int32_t *sums, const int32_t *at, int32_t count, int32_t first,
                      mcg_panel_output_t *how, int8_t *y)
{
    const float *const scale = how->scale + first;
    const int32_t *const end = sums + MCG_PLANE_CHANNELS * count;
    y += first;
    if (how->kind == 1) {
        how->ends[1] = mcg_plane_relu(sums, at, y, end, scale, how->ends[1]);
    } else if (how->kind == 2 && mcg_plane_bytes(sums, at, y, end, scale, how)) {
        /* All within int8. */
    } else {
        for (; sums != end; sums += MCG_PLANE_CHANNELS) {
            how->highest = mcg_max(how->highest, mcg_output_s8(sums, scale, how->clip, how->zero,
                                                               MCG_PLANE_CHANNELS, y + *at++));
        }
    }
}
