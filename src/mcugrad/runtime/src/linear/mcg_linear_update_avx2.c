/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* Inputs that are widened at a time, and rows that then take them; a multiple of MCG_LANES_32. */
#define MCG_WIDENED 1024
#define MCG_WIDENED_ROWS 64

/*
 * A gradient is one product, e x, and a step another one, by a factor of 16 bits: the product of all three is
 * below 2^31, and is rounded once.
 */
typedef struct {
    int32_t inputs;         /* of these, in this block */
    int32_t x[MCG_WIDENED]; /* less their zero point, of 16 the places 0 to 3, 8 to 11, 4 to 7 and 12 to 15 */
    int32_t plain[MCG_WIDENED]; /* in their order */
} mcg_widened_t;

/* The largest shift of a product for which adding one half of the last bit stays below 2^31, the smallest for
 * which changes of sr16 are halves of words. */
#define MCG_STEP_SHIFT 24
#define MCG_STEP_SHIFT_SR16 9

/* A factor of products with an input. */
typedef struct {
    mcg_words_t factor, half, shift;
} mcg_linear_step_t;

/* What is beyond the last input is 0, and changes no weight. */
static void mcg_linear_widen(const int8_t *x, int32_t zero, int32_t inputs, mcg_widened_t *to)
{
    const int32_t whole = (inputs + MCG_LANES_32 - 1) / MCG_LANES_32 * MCG_LANES_32;
    to->inputs = inputs;
    for (int32_t i = 0; i < inputs; i++) {
        to->plain[i] = x[i] - zero;
    }
    for (int32_t i = inputs; i < whole; i++) {
        to->plain[i] = 0;
    }
    for (int32_t i = 0; i < whole; i += MCG_LANES_16) {
        mcg_store_words(to->x + i, mcg_load_apart(to->plain + i));
        mcg_store_words(to->x + i + MCG_LANES_8, mcg_load_apart(to->plain + i + 4));
    }
}

static inline mcg_words_t mcg_linear_product(const int32_t *x, const mcg_linear_step_t *s)
{
    return (mcg_load_words(x) * s->factor + s->half) >> s->shift;
}

/* 32 weights by sr8. */
static inline void mcg_linear_sr8_lanes(int8_t *w, const int32_t *x, const mcg_linear_step_t *s,
                                        uint32_t counter, mcg_halves_t *over)
{
    mcg_halves_t random[2];
    mcg_halves_t kept[2];
    mcg_random_halves(counter, random);
    for (int32_t i = 0; i < 2; i++) {
        const mcg_words_t d[2] = {mcg_linear_product(x + i * MCG_LANES_16, s),
                                  mcg_linear_product(x + i * MCG_LANES_16 + MCG_LANES_8, s)};
        kept[i] = mcg_sr8_weights(w + i * MCG_LANES_16, d, random[i], over);
    }
    mcg_store_narrow(w, kept[0], kept[1]);
}

static bool mcg_linear_sr8(const mcg_widened_t *x, const mcg_linear_step_t *s, uint32_t counter, int8_t *w)
{
    const int32_t whole = x->inputs - x->inputs % MCG_LANES_32;
    mcg_halves_t over = {0};
    for (int32_t i = 0; i < whole; i += MCG_LANES_32) {
        mcg_linear_sr8_lanes(w + i, x->x + i, s, counter, &over);
        counter += MCG_LANES_32 / 4 * MCG_COUNTER_STEP;
    }
    if (whole < x->inputs) {
        int8_t few[MCG_LANES_32] = {0};
        __builtin_memcpy(few, w + whole, (size_t)(x->inputs - whole));
        mcg_linear_sr8_lanes(few, x->x + whole, s, counter, &over);
        __builtin_memcpy(w + whole, few, (size_t)(x->inputs - whole));
    }
    return mcg_any_half(over);
}

/* Residual bits of 32 weights as bytes, from four or two in a byte. */
static inline mcg_words_t mcg_linear_unpack(const uint8_t *residual, int32_t bits)
{
    if (bits == 4) {
        const mcg_halves_t two = mcg_widen(mcg_load_bytes((const int8_t *)residual)) & 255;
        return (mcg_words_t)((two & 15) | (two << 4 & 0x0f00));
    }
    const mcg_words_t four = mcg_widen_words((const int8_t *)residual) & 255;
    return (four & 3) | (four << 6 & 0x0300) | (four << 12 & 0x030000) | (four << 18 & 0x03000000);
}

/* And back. */
static inline void mcg_linear_pack(mcg_words_t low, int32_t bits, uint8_t *residual)
{
    if (bits == 4) {
        const mcg_halves_t two = (mcg_halves_t)low;
        int8_t packed[MCG_LANES_32];
        const mcg_halves_t bytes = (two & 15) | (two >> 4 & 0xf0);
        mcg_store_narrow(packed, bytes << 8 >> 8, bytes);
        __builtin_memcpy(residual, packed, MCG_LANES_16);
    } else {
        mcg_store_eight((int8_t *)residual,
                        (low & 3) | (low >> 6 & 0x0c) | (low >> 12 & 0x30) | (low >> 18 & 0xc0));
    }
}

/* 32 weights by sr10 or sr12. */
static inline void mcg_linear_some_lanes(int8_t *w, uint8_t *residual, const int32_t *x,
                                         const mcg_linear_step_t *s, uint32_t counter, int32_t bits,
                                         mcg_halves_t *over)
{
    const mcg_halves_t zero = {0};
    const int16_t most = (int16_t)(128 * (1 << bits) - 1);
    int8_t low[MCG_LANES_32];
    mcg_words_t all = mcg_linear_unpack(residual, bits);
    mcg_halves_t random[2];
    mcg_halves_t kept[2];
    __builtin_memcpy(low, &all, sizeof all);
    mcg_random_halves(counter, random);
    for (int32_t i = 0; i < 2; i++) {
        const int32_t *const from = x + i * MCG_LANES_16;
        mcg_words_t drawn[2];
        mcg_halves_t v = mcg_widen(mcg_load_bytes(w + i * MCG_LANES_16)) * (int16_t)(1 << bits) +
                         mcg_widen(mcg_load_bytes(low + i * MCG_LANES_16));
        mcg_zip_halves(random[i], zero, drawn);
        drawn[0] = (mcg_linear_product(from, s) + (drawn[0] >> bits)) >> (16 - bits);
        drawn[1] = (mcg_linear_product(from + MCG_LANES_8, s) + (drawn[1] >> bits)) >> (16 - bits);
        /* What is beyond 8191 leaves any range, and stays a half of a word. */
        v += mcg_clamp_halves((mcg_halves_t)__builtin_ia32_packssdw256(drawn[0], drawn[1]), -8191, 8191);
        kept[i] = mcg_clamp_halves(v, (int16_t)(-127 * (1 << bits)), most);
        *over |= v ^ kept[i];
    }
    mcg_store_narrow(w, kept[0] >> bits, kept[1] >> bits);
    mcg_store_narrow(low, kept[0] & (int16_t)((1 << bits) - 1), kept[1] & (int16_t)((1 << bits) - 1));
    __builtin_memcpy(&all, low, sizeof all);
    mcg_linear_pack(all, bits, residual);
}

static inline bool mcg_linear_some(const mcg_widened_t *x, const mcg_linear_step_t *s, uint32_t counter,
                                   int32_t bits, int8_t *w, uint8_t *residual)
{
    const int32_t whole = x->inputs - x->inputs % MCG_LANES_32;
    const int32_t rest = x->inputs - whole;
    mcg_halves_t over = {0};
    for (int32_t i = 0; i < whole; i += MCG_LANES_32) {
        mcg_linear_some_lanes(w + i, residual + i * bits / 8, x->x + i, s, counter, bits, &over);
        counter += MCG_LANES_32 / 4 * MCG_COUNTER_STEP;
    }
    if (rest > 0) {
        int8_t few[MCG_LANES_32] = {0};
        uint8_t low[MCG_LANES_32] = {0};
        const size_t bytes = (size_t)(rest * bits + 7) / 8;
        __builtin_memcpy(few, w + whole, (size_t)rest);
        __builtin_memcpy(low, residual + whole * bits / 8, bytes);
        mcg_linear_some_lanes(few, low, x->x + whole, s, counter, bits, &over);
        __builtin_memcpy(w + whole, few, (size_t)rest);
        __builtin_memcpy(residual + whole * bits / 8, low, bytes);
    }
    return mcg_any_half(over);
}

/* 16 weights of sr16 as they are in 1/256, changed; bits of `over` are set where one left its range. */
static inline mcg_halves_t mcg_linear_sr16_halves(const int8_t *w, const uint8_t *residual, const int32_t *x,
                                                  const mcg_linear_step_t *s, mcg_halves_t *over)
{
    const mcg_halves_t zero = {0};
    const mcg_words_t d0 = (mcg_linear_product(x, s) + 128) >> 8;
    const mcg_words_t d1 = (mcg_linear_product(x + MCG_LANES_8, s) + 128) >> 8;
    const mcg_halves_t change = (mcg_halves_t)__builtin_ia32_packssdw256(d0, d1);
    const mcg_halves_t low = mcg_widen(mcg_load_bytes((const int8_t *)residual)) & 255;
    const mcg_halves_t old = mcg_widen(mcg_load_bytes(w)) << 8 | low;
    const mcg_halves_t kept = mcg_max_halves(mcg_add_halves(old, change), zero - 127 * 256);
    *over |= kept ^ mcg_add_around(old, change);
    return kept;
}

/* 32 weights by sr16. */
static inline void mcg_linear_sr16_lanes(int8_t *w, uint8_t *residual, const int32_t *x,
                                         const mcg_linear_step_t *s, mcg_halves_t *over)
{
    const mcg_halves_t v0 = mcg_linear_sr16_halves(w, residual, x, s, over);
    const mcg_halves_t v1 =
        mcg_linear_sr16_halves(w + MCG_LANES_16, residual + MCG_LANES_16, x + MCG_LANES_16, s, over);
    mcg_store_narrow(w, v0 >> 8, v1 >> 8);
    mcg_store_narrow((int8_t *)residual, v0 << 8 >> 8, v1 << 8 >> 8);
}

static bool mcg_linear_sr16(const mcg_widened_t *x, const mcg_linear_step_t *s, int8_t *w, uint8_t *residual)
{
    const int32_t whole = x->inputs - x->inputs % MCG_LANES_32;
    const size_t rest = (size_t)(x->inputs - whole);
    mcg_halves_t over = {0};
    for (int32_t i = 0; i < whole; i += MCG_LANES_32) {
        mcg_linear_sr16_lanes(w + i, residual + i, x->x + i, s, &over);
    }
    if (rest > 0) {
        int8_t few[MCG_LANES_32] = {0};
        uint8_t low[MCG_LANES_32] = {0};
        __builtin_memcpy(few, w + whole, rest);
        __builtin_memcpy(low, residual + whole, rest);
        mcg_linear_sr16_lanes(few, low, x->x + whole, s, &over);
        __builtin_memcpy(w + whole, few, rest);
        __builtin_memcpy(residual + whole, low, rest);
    }
    return mcg_any_half(over);
}

/* Any rule: gradients, then its own function. */
static bool mcg_linear_any(const mcg_widened_t *x, int32_t first, int32_t error, const mcg_rule_t *rule,
                           mcg_scale_t factor, uint32_t counter, int8_t *w, uint8_t *residual)
{
    int32_t gradient[MCG_WIDENED];
    for (int32_t i = 0; i < x->inputs; i++) {
        gradient[i] = error * x->plain[i];
    }
    return rule->step(w, residual, gradient, x->inputs, first, factor, counter);
}

/* A row; whether a weight saturated. */
static bool mcg_linear_row(const mcg_widened_t *x, int32_t first, int32_t error, const mcg_rule_t *rule,
                           mcg_scale_t factor, uint32_t counter, int8_t *w, uint8_t *residual)
{
    const int32_t shift = factor.shift - factor.pre;
    if (shift > 1 && shift <= MCG_STEP_SHIFT) {
        const mcg_words_t zero = {0};
        const mcg_linear_step_t s = {zero - error * (int32_t)factor.mult, zero + ((int32_t)1 << (shift - 1)),
                                     zero + shift};
        const uint32_t drawn = counter + (uint32_t)first / 4U * MCG_COUNTER_STEP;
        if (rule->residual_bits == 0 && rule->random) {
            return mcg_linear_sr8(x, &s, drawn, w);
        }
        if (rule->residual_bits == 2) {
            return mcg_linear_some(x, &s, drawn, 2, w, residual);
        }
        if (rule->residual_bits == 4) {
            return mcg_linear_some(x, &s, drawn, 4, w, residual);
        }
        if (rule->residual_bits == 8 && !rule->random && shift >= MCG_STEP_SHIFT_SR16) {
            return mcg_linear_sr16(x, &s, w, residual);
        }
    }
    return mcg_linear_any(x, first, error, rule, factor, counter, w, residual);
}

void mcg_linear_update(const mcg_linear_t *g, const int8_t *x, const int8_t *e, const uint16_t *active,
                       const mcg_scale_t *factor, const mcg_rule_t *rule, const uint32_t *seed,
                       const uint32_t *step, uint32_t tensor, int8_t *w, uint8_t *residual, float *w_scale)
{
    const uint32_t words = ((uint32_t)g->inputs + 3U) / 4U;
    const uint32_t stream = mcg_stream(*seed, *step, tensor);
    const int32_t out = mcg_active_count(active, g->out);
    mcg_widened_t widened;
    for (int32_t start = 0; start < out; start += MCG_WIDENED_ROWS) {
        const int32_t rows = mcg_min(out - start, MCG_WIDENED_ROWS);
        bool saturated[MCG_WIDENED_ROWS] = {false};
        for (int32_t first = 0; first < g->inputs; first += MCG_WIDENED) {
            if (start == 0 || g->inputs > MCG_WIDENED) {
                mcg_linear_widen(x + first, g->x_zero, mcg_min(g->inputs - first, MCG_WIDENED), &widened);
            }
            for (int32_t k = 0; k < rows; k++) {
                const int32_t o = mcg_active_at(active, start + k);
                uint8_t *low = mcg_residual_at(residual, o * ((g->inputs * rule->residual_bits + 7) / 8));
                if (e[start + k] != 0) { /* else a weight stays as it is, whatever the random number */
                    saturated[k] |= mcg_linear_row(&widened, first, e[start + k], rule, factor[o],
                                                   stream + (uint32_t)o * words * MCG_COUNTER_STEP,
                                                   w + o * g->inputs + first,
                                                   mcg_residual_at(low, first * rule->residual_bits / 8));
                }
            }
        }
        for (int32_t k = 0; k < rows; k++) {
            const int32_t o = mcg_active_at(active, start + k);
            if (saturated[k]) {
                rule->grow(w + o * g->inputs,
                           mcg_residual_at(residual, o * ((g->inputs * rule->residual_bits + 7) / 8)),
                           g->inputs);
                w_scale[o] *= MCG_GROWTH;
            }
        }
    }
}
