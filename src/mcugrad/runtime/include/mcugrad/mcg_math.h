/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of docs/arithmetic.md, written out once. Every kernel uses these and nothing else. */
#ifndef MCG_MATH_H
#define MCG_MATH_H

#include "mcg_types.h"

/* Signed right shift must be arithmetic and int 32 bits wide: true of every Arm and host compiler we know. */
MCG_STATIC_ASSERT((-1 >> 1) == -1, "signed right shift must be arithmetic");
MCG_STATIC_ASSERT(sizeof(int) == 4, "int must have 32 bits");
MCG_STATIC_ASSERT(sizeof(float) == 4, "float must be IEEE binary32");

/** Accumulators stay strictly below this in magnitude: the compiler proves it, pre-shifts saturate to it. */
#define MCG_ACC_LIMIT ((int32_t)1 << 30)

/* Floats: of a 32-bit Arm that has a unit for them, one without, any other core. */
#if defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 4)
#define MCG_ARM_FLOATS 1
#else
#define MCG_ARM_FLOATS 0
#endif
#if defined(__arm__) && !MCG_ARM_FLOATS
#define MCG_SLOW_FLOATS 1
#else
#define MCG_SLOW_FLOATS 0
#endif

static inline int32_t mcg_min(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t mcg_max(int32_t a, int32_t b) { return a > b ? a : b; }

static inline int32_t mcg_clamp(int32_t v, int32_t low, int32_t high)
{
    return mcg_min(mcg_max(v, low), high);
}

/** |v|, for v above INT32_MIN. */
static inline int32_t mcg_abs(int32_t v) { return v < 0 ? -v : v; }

/**
 * floor((acc * mult + 2^(shift-1)) / 2^shift), exactly, in 32-bit operations; |acc| < 2^30.
 * The factor's pre-shift is not applied: see mcg_rescale.
 */
static inline int32_t mcg_rescale_core(int32_t acc, mcg_scale_t s)
{
    const int32_t low = (int32_t)((((uint32_t)acc & 0xffffU) * s.mult) >> 16);
    const int32_t high = (acc >> 16) * (int32_t)s.mult;
    return (low + high + ((int32_t)1 << (s.shift - 17))) >> (s.shift - 16);
}

/** acc * 2^pre, saturated to the accumulator range: what a factor of 0.5 or more needs first. */
static inline int32_t mcg_pre_shift(int32_t acc, uint8_t pre)
{
    const int32_t limit = (MCG_ACC_LIMIT - 1) >> pre;
    return mcg_clamp(acc, -limit, limit) * ((int32_t)1 << pre);
}

/** acc times a factor, rounded once, half up. */
static inline int32_t mcg_rescale(int32_t acc, mcg_scale_t s)
{
    return mcg_rescale_core(s.pre == 0 ? acc : mcg_pre_shift(acc, s.pre), s);
}

static inline uint32_t mcg_float_bits(float f)
{
    union {
        float f;
        uint32_t u;
    } pun;
    pun.f = f;
    return pun.u;
}

static inline float mcg_bits_float(uint32_t u)
{
    union {
        float f;
        uint32_t u;
    } pun;
    pun.u = u;
    return pun.f;
}

/**
 * The factor nearest to f; 2^28 and more give the largest there is, infinity included. What is not positive
 * and normal gives 0: also NaN, whose sign differs between cores.
 */
static inline mcg_scale_t mcg_scale_from_float(float f)
{
    const uint32_t bits = mcg_float_bits(f);
    int32_t exponent = (int32_t)((bits >> 23) & 0xffU);
    uint32_t mult = (((bits & 0x7fffffU) | 0x800000U) + 0x80U) >> 8;
    int32_t shift;
    mcg_scale_t s = {0, 32, 0};
    if (bits - 0x00800000U > 0x7f000000U) { /* not between the smallest normal number and infinity */
        return s;
    }
    if (mult == 0x10000U) { /* rounded up to the next power of two */
        mult = 0x8000U;
        exponent += 1;
    }
    shift = 142 - exponent;
    if (shift < -12) {
        mult = 0xffffU;
        shift = -12;
    }
    if (shift < 17) {
        s.pre = (uint8_t)(17 - shift);
        shift = 17;
    } else if (shift > 32) {
        const int32_t drop = shift - 32;
        mult = drop > 16 ? 0U : (mult + (1U << (drop - 1))) >> drop;
        shift = 32;
    }
    s.mult = (uint16_t)mult;
    s.shift = (uint8_t)shift;
    return s;
}

/** Rescaled outputs lie in [-2^22, 2^22). */
#define MCG_OUTPUT_LIMIT ((int32_t)1 << 22)

/** A factor of outputs: f, at most 2^28; 0 for what is not positive, NaN included. */
static inline float mcg_factor(float f) { return f > 0.0F ? (f < 268435456.0F ? f : 268435456.0F) : 0.0F; }

/** The integer nearest to v, to even at ties, saturated to [-2^22, 2^22). v is not NaN. */
static inline int32_t mcg_nearest(float v)
{
#if MCG_ARM_FLOATS && (defined(__GNUC__) || defined(__clang__))
    int32_t rounded; /* saturates to 32 bits by itself */
    __asm__("vcvtr.s32.f32 %0, %1" : "=t"(rounded) : "t"(v));
    return mcg_clamp(rounded, -MCG_OUTPUT_LIMIT, MCG_OUTPUT_LIMIT - 1);
#else
    const float low = (float)-MCG_OUTPUT_LIMIT;
    const float high = (float)(MCG_OUTPUT_LIMIT - 1);
    const float inside = v < low ? low : v > high ? high : v;
    /* In [2^23, 2^24) floats are the integers: the sum with 1.5 * 2^23 rounds. */
    return (int32_t)(mcg_float_bits(inside + 12582912.0F) - 0x4b400000U);
#endif
}

/** f rounded half up and saturated to [-limit, limit]; NaN gives -limit. limit is a power of two, at most
 * 2^30. */
static inline int32_t mcg_round(float f, int32_t limit)
{
    int32_t i;
    if (!(f > (float)-limit)) {
        return -limit;
    }
    if (f >= (float)limit) {
        return limit;
    }
    f = f + 0.5F;
    i = (int32_t)f;
    return (float)i > f ? i - 1 : i;
}

/** 2^t for t <= 0: a Taylor polynomial on [0, 1) times a power of two; 0 for t below -100 and for NaN. */
static inline float mcg_exp2(float t)
{
    int32_t whole;
    float f;
    if (!(t >= -100.0F)) {
        return 0.0F;
    }
    whole = (int32_t)t;
    if ((float)whole > t) {
        whole -= 1;
    }
    f = (t - (float)whole) * 0.69314718F;
    f = 1.0F +
        f * (1.0F + f * (0.5F + f * (0.16666667F +
                                     f * (0.041666668F +
                                          f * (0.0083333338F + f * (0.0013888889F + f * 0.00019841270F))))));
    return f * mcg_bits_float((uint32_t)(127 + whole) << 23);
}

/** Temperature of the probabilities that soft labels hold; their kernels know that it is 3. */
#define MCG_TEMPERATURE 3.0F

/** 2^t in 1/255, rounded, for t <= 0: a class's share of a soft label, 255 for the largest; 0 for NaN. */
static inline uint8_t mcg_soft_share(float t) { return (uint8_t)mcg_round(mcg_exp2(t) * 255.0F, 256); }

/** The square root, by three of Newton's steps from a first guess in the bits; 0 for v <= 1e-37 and for NaN.
 */
static inline float mcg_sqrt(float v)
{
    float root = mcg_bits_float((mcg_float_bits(v) >> 1) + 0x1fbd1df5U);
    if (!(v > 1.0e-37F)) {
        return 0.0F;
    }
    root = 0.5F * (root + v / root);
    root = 0.5F * (root + v / root);
    return 0.5F * (root + v / root);
}

/** ln v for v >= 1, from the exponent and the series of atanh on the mantissa. */
static inline float mcg_log(float v)
{
    const uint32_t bits = mcg_float_bits(v);
    const float m = mcg_bits_float((bits & 0x7fffffU) | 0x3f800000U);
    const float s = (m - 1.0F) / (m + 1.0F);
    const float q = s * s;
    const float series =
        1.0F + q * (0.33333334F + q * (0.2F + q * (0.14285715F + q * (0.11111111F + q * 0.090909094F))));
    return (float)((int32_t)(bits >> 23) - 127) * 0.69314718F + 2.0F * s * series;
}

/** v between two bounds; NaN stays NaN. */
static inline float mcg_clip_real(float v, const float *bounds)
{
    return v < bounds[0] ? bounds[0] : v > bounds[1] ? bounds[1] : v;
}

static inline bool mcg_rate_is_valid(float rate) { return rate >= 0.0F && rate <= 3.0e38F; }

/** Whether a schedule keeps to what its fields say. */
static inline bool mcg_schedule_is_valid(const mcg_schedule_t *s)
{
    const bool constant = s->kind == MCG_SCHEDULE_CONSTANT;
    const bool falling = s->kind == MCG_SCHEDULE_COSINE || s->kind == MCG_SCHEDULE_LINEAR;
    const bool decaying = s->kind == MCG_SCHEDULE_STEPS;
    return mcg_rate_is_valid(s->rate) &&
           (constant || (mcg_rate_is_valid(s->last) &&
                         ((falling && s->steps > s->warmup) ||
                          (decaying && s->every >= 1U && s->factor > 0.0F && s->factor <= 1.0F))));
}

/** (1 + cos(pi t)) / 2 for t in [0, 1]: one less, or just, the square of a sine's series up to pi / 4. */
static inline float mcg_half_cosine(float t)
{
    const float z = (t > 0.5F ? 1.0F - t : t) * 1.5707964F;
    const float q = z * z;
    const float s =
        z * (1.0F + q * (-0.16666667F + q * (0.0083333338F + q * (-0.00019841270F + q * 0.0000027557319F))));
    return t > 0.5F ? s * s : 1.0F - s * s;
}

/** base^exponent by squaring. */
static inline float mcg_power(float base, uint32_t exponent)
{
    float result = 1.0F;
    for (; exponent != 0U; exponent >>= 1) {
        if ((exponent & 1U) != 0U) {
            result *= base;
        }
        base *= base;
    }
    return result;
}

/** Steps that a running loss and accuracy look back: a plain mean until then, an exponential one from then
 * on. */
#define MCG_WATCH_HORIZON 256U

/** How an error that was all 0 counts beside the tensors that saturated in a step. */
#define MCG_EMPTY_ERROR 65536

/** What looks wrong; `loss` is that of the step, `blind` the loss of the same answer to every sample, 0 where
 * nobody knows it. */
static inline uint32_t mcg_trouble(const mcg_watch_t *watch, float loss, float blind, float saturation,
                                   float empty)
{
    const bool stalled = blind > 0.0F && watch->seen >= MCG_WATCH_HORIZON && watch->loss >= 0.9F * blind;
    uint32_t found = stalled ? (uint32_t)MCG_TROUBLE_STALLED : 0U;
    found += saturation >= 0.25F ? (uint32_t)MCG_TROUBLE_EXCEEDED : 0U;
    found += empty > 0.0F && loss > 0.0F ? (uint32_t)MCG_TROUBLE_EMPTY : 0U;
    return found;
}

/** The same for the mean that drift is measured from, and samples before it is measured at all. */
#define MCG_DRIFT_HORIZON 1024U
#define MCG_DRIFT_LEAST 32U
/** Excess over the mean that is no drift, and the sum of further excess that is. */
#define MCG_ERROR_SLACK 0.05F
#define MCG_DOUBT_SLACK 0.02F
#define MCG_DRIFT_LIMIT 10.0F

/** A running mean of `seen` values, this one included, over at most `horizon`. */
static inline float mcg_running(float mean, float value, uint32_t seen, uint32_t horizon)
{
    return mean + (value - mean) / (float)(seen < horizon ? seen : horizon);
}

/** One sample of the Page-Hinkley test for an increase; value in [0, 1], `seen` includes it. */
static inline void mcg_drift(uint32_t seen, float value, float slack, float *mean, float *sum)
{
    *mean = mcg_running(*mean, value, seen, MCG_DRIFT_HORIZON);
    if (seen > MCG_DRIFT_LEAST) {
        const float next = *sum + (value - *mean - slack);
        const float limited = next < 2.0F * MCG_DRIFT_LIMIT ? next : 2.0F * MCG_DRIFT_LIMIT;
        *sum = limited > 0.0F ? limited : 0.0F;
    }
}

/** One more prediction, by the sum of its softmax with the largest term 1; what is not finite is left out. */
static inline void mcg_follow_confidence(float sum, mcg_drift_t *drift)
{
    if (sum >= 1.0F) {
        drift->confidence = 1.0F / sum;
        drift->seen += drift->seen < MCG_DRIFT_HORIZON ? 1U : 0U;
        mcg_drift(drift->seen, 1.0F - drift->confidence, MCG_DOUBT_SLACK, &drift->mean, &drift->sum);
        drift->drift = drift->sum / MCG_DRIFT_LIMIT;
    }
}

/** Counter-based random numbers: 32 well-mixed bits of a counter. */
static inline uint32_t mcg_hash(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x7feb352dU;
    x ^= x >> 16;
    return x;
}

/** Distance between the counters of neighbouring words of random bits. */
#define MCG_COUNTER_STEP 0x9E3779B9U

/** Numbers of random streams that a layer has: from 16 times its place among those that train, which begins
 * with 1. */
#define MCG_LAYER_STREAMS 16U
/** Of a layer: rounding of updates, of weights that changes are applied to, of kept changes, of decay; which
 * channels take part, rounding of their errors. */
#define MCG_STREAM_UPDATE 0U
#define MCG_STREAM_APPLY 1U
#define MCG_STREAM_KEEP 2U
#define MCG_STREAM_DECAY 3U
#define MCG_STREAM_CHOOSE 4U
#define MCG_STREAM_ENLARGE 5U
/** Of what has no layer, here and below: whether a batch is learned from. */
#define MCG_STREAM_SAMPLES 0U
/** Of replay: which place, which of the own class, which one is drawn. */
#define MCG_STREAM_PLACE 1U
#define MCG_STREAM_OWN 2U
#define MCG_STREAM_DRAW 3U
/** Of augmentation: shift; gain and offset; noise. */
#define MCG_STREAM_SHIFT 4U
#define MCG_STREAM_LEVELS 5U
#define MCG_STREAM_NOISE 6U

/** The counter at which the random words of a stream begin, in one training step. */
static inline uint32_t mcg_stream(uint32_t seed, uint32_t step, uint32_t number)
{
    return mcg_hash(seed ^ mcg_hash(step ^ mcg_hash(number + MCG_COUNTER_STEP)));
}

/** A random whole number from -most to most, from 16 random bits; most is at most 32767. */
static inline int32_t mcg_random_shift(uint32_t random, int32_t most)
{
    return (int32_t)((random * ((uint32_t)most * 2U + 1U)) >> 16) - most;
}

/** A random number from -most up to, but without, most, from 16 random bits; most is at most 2^16. */
static inline int32_t mcg_random_part(uint32_t random, int32_t most)
{
    return (((int32_t)random - 32768) * most) >> 15;
}

#endif /* MCG_MATH_H */
