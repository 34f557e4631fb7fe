/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

/* A value and the slope there. */
typedef struct {
    float value;
    float slope;
} mcg_point_t;

#define MCG_LOG2_E 1.4426950F

static inline float mcg_magnitude(float z) { return z < 0.0F ? -z : z; }

static inline float mcg_within(float z, float low, float high)
{
    const float above = z < low ? low : z;
    return above > high ? high : above;
}

/* exp(t) - 1 for t <= 0; near 0, where the difference would lose its digits, a Taylor polynomial. */
static float mcg_expm1(float t)
{
    if (t > -0.125F) {
        return t * (1.0F + t * (0.5F + t * (0.16666667F + t * (0.041666668F + t * 0.0083333338F))));
    }
    return mcg_exp2(t * MCG_LOG2_E) - 1.0F;
}

/* Both 1 / (1 + exp(-z)), as the value, and 1 less that, as the slope: each to its last digits. */
static mcg_point_t mcg_sigmoid_pair(float z)
{
    const float small = mcg_exp2(mcg_magnitude(z) * -MCG_LOG2_E);
    const float large = 1.0F / (1.0F + small);
    mcg_point_t p = {large, small * large};
    if (z < 0.0F) {
        p.value = p.slope;
        p.slope = large;
    }
    return p;
}

/* z times a sigmoid of `inner`, whose derivative by z is `steepness`. */
static mcg_point_t mcg_gated(float z, float inner, float steepness)
{
    const mcg_point_t gate = mcg_sigmoid_pair(inner);
    mcg_point_t p;
    p.value = z * gate.value;
    p.slope = gate.value + p.value * gate.slope * steepness;
    return p;
}

static mcg_point_t mcg_tanh_point(float z)
{
    const float less = mcg_expm1(mcg_magnitude(z) * -2.0F);
    const float t = -less / (2.0F + less);
    mcg_point_t p;
    p.value = z < 0.0F ? -t : t;
    p.slope = 1.0F - t * t;
    return p;
}

/* z times the normal distribution function, by Abramowitz and Stegun 26.2.17: error below 7.5e-8. */
static mcg_point_t mcg_gelu_point(float z)
{
    const float m = mcg_magnitude(z);
    const float density = mcg_exp2(z * z * -0.72134752F) * 0.39894228F;
    const float k = 1.0F / (1.0F + 0.23164190F * m);
    const float tail =
        density * k *
        (0.31938153F + k * (-0.35656378F + k * (1.7814779F + k * (-1.8212560F + k * 1.3302744F))));
    const float share = z < 0.0F ? tail : 1.0F - tail;
    mcg_point_t p;
    p.value = z * share;
    p.slope = share + z * density;
    return p;
}

static mcg_point_t mcg_gelu_tanh_point(float z)
{
    /* beyond +-10 the gate is 0 or 1 in float32 */
    const float inside = mcg_within(z, -10.0F, 10.0F);
    const float square = inside * inside;
    mcg_point_t p =
        mcg_gated(inside, inside * (1.5957691F + 0.071354816F * square), 1.5957691F + 0.21406445F * square);
    if (z > 10.0F) {
        p.value = z;
    }
    return p;
}

static mcg_point_t mcg_elu_point(float z, float alpha)
{
    mcg_point_t p = {z, 1.0F};
    if (!(z > 0.0F)) {
        const float less = mcg_expm1(z);
        p.value = alpha * less;
        p.slope = alpha * (1.0F + less);
    }
    return p;
}

/* clamp(alpha z + beta, 0, 1), and its slope. */
static mcg_point_t mcg_ramp(float z, float alpha, float beta)
{
    const float v = alpha * z + beta;
    mcg_point_t p = {v, alpha};
    if (!(v > 0.0F && v < 1.0F)) {
        p.value = v > 0.0F ? 1.0F : 0.0F;
        p.slope = 0.0F;
    }
    return p;
}

void mcg_curve(int32_t function, float z, float alpha, float beta, float *point)
{
    mcg_point_t p;
    switch (function) {
        case MCG_SIGMOID:
            p = mcg_sigmoid_pair(z);
            p.slope = p.value * p.slope;
            break;
        case MCG_TANH:
            p = mcg_tanh_point(z);
            break;
        case MCG_HARD_SIGMOID:
            p = mcg_ramp(z, alpha, beta);
            break;
        case MCG_HARD_SWISH:
            p = mcg_ramp(z, 0.16666667F, 0.5F);
            p.slope = p.value + z * p.slope;
            p.value = z * p.value;
            break;
        case MCG_SILU:
            p = mcg_gated(z, z, 1.0F);
            break;
        case MCG_GELU:
            p = mcg_gelu_point(z);
            break;
        case MCG_GELU_TANH:
            p = mcg_gelu_tanh_point(z);
            break;
        case MCG_ELU:
            p = mcg_elu_point(z, alpha);
            break;
        default: /* MCG_SOFTPLUS */
            p = mcg_sigmoid_pair(z);
            p.slope = p.value;
            p.value = (z > 0.0F ? z : 0.0F) + mcg_log(1.0F + mcg_exp2(mcg_magnitude(z) * -MCG_LOG2_E));
            break;
    }
    point[0] = p.value;
    point[1] = p.slope;
}
