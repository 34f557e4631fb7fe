/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_kernels.h"

/* 2^t for t <= 0: a Taylor polynomial on [0, 1) times a power of two; 0 for t below -100 and for NaN. */
static float mcg_exp2(float t)
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

/* ln v for v >= 1, from the exponent and the series of atanh on the mantissa. */
static float mcg_log(float v)
{
    const uint32_t bits = mcg_float_bits(v);
    const float m = mcg_bits_float((bits & 0x7fffffU) | 0x3f800000U);
    const float s = (m - 1.0F) / (m + 1.0F);
    const float q = s * s;
    const float series =
        1.0F + q * (0.33333334F + q * (0.2F + q * (0.14285715F + q * (0.11111111F + q * 0.090909094F))));
    return (float)((int32_t)(bits >> 23) - 127) * 0.69314718F + 2.0F * s * series;
}

void mcg_softmax_cross_entropy_s8(int32_t classes, int32_t channels, int32_t zero, const int8_t *logits,
                                  const float *scale, uint32_t label, const float *w_scale,
                                  const int32_t *clip, int8_t *e, float *c, float *loss, float *confidence,
                                  float *probability)
{
    const float unit = *scale * 1.4426950F;
    int32_t top = -128;
    float sum = 0.0F;
    float highest = 0.0F;
    for (int32_t i = 0; i < classes; i++) {
        top = mcg_max(top, logits[i]);
    }
    for (int32_t i = 0; i < classes; i++) {
        probability[i] = mcg_exp2((float)(logits[i] - top) * unit);
        sum += probability[i];
    }
    *loss = mcg_log(sum) + (float)(top - logits[label]) * *scale;
    *confidence = 1.0F / sum;
    for (int32_t i = 0; i < classes; i++) {
        const int32_t value = logits[i] - zero;
        float error = probability[i] / sum;
        if ((uint32_t)i == label) {
            error -= 1.0F;
        }
        error = value > clip[0] && value < clip[1] ? error * w_scale[i % channels] : 0.0F;
        probability[i] = error;
        error = error < 0.0F ? -error : error;
        highest = error > highest ? error : highest;
    }
    *c = highest / 127.0F;
    for (int32_t i = 0; i < classes; i++) {
        e[i] = highest > 0.0F
                   ? (int8_t)mcg_clamp(mcg_round(probability[i] / highest * 127.0F, 128), -127, 127)
                   : 0;
    }
}
