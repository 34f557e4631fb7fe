/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kernel. Arrays are row-major; constants first, then inputs, then what is written, then scratch.
 * A kernel cannot fail: the compiler proved its arguments. "peak" is the largest magnitude before saturation.
 */
#ifndef MCG_KERNELS_H
#define MCG_KERNELS_H

#include "mcg_layers.h"

/** Elements that a kernel handles at a time on the stack; a multiple of 4. */
#define MCG_BLOCK 64

/** A weight row that saturated gets this much more range; its weights shrink by the inverse, in 1/65536. */
#define MCG_GROWTH 1.25F
#define MCG_SHRINK 52429

/** Biases saturate here, in units of the accumulator. */
#define MCG_BIAS_LIMIT ((int32_t)1 << 29)

/** How fast ranges shrink: errors by 2^-7 a step, activations by 2^-10. They grow at once. */
#define MCG_ERROR_DECAY 0.0078125F
#define MCG_SCALE_DECAY 0.0009765625F

/** Smallest range of a sum of errors; below it, its factors would leave their format. */
#define MCG_LEAST_RANGE 2.0F

/** Factors of a sum of activations saturate here. */
#define MCG_FACTOR_LIMIT ((int32_t)1 << 20)

/** A clip bound that never clips: no accumulator reaches it. */
#define MCG_UNBOUNDED ((int32_t)1 << 30)

/** A range that shrinks by `rate`, but not below the part of it that was in use. */
static inline float mcg_decay(float range, float fill, float rate)
{
    const float slow = range - range * rate;
    const float now = range * fill;
    return slow > now ? slow : now;
}

void mcg_patch_s8(const mcg_conv2d_t *g, const int8_t *x, int32_t out_y, int32_t out_x, int16_t *patch);
void mcg_conv2d_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                   const mcg_scale_t *scale, const int32_t *clip, int8_t *y, int32_t *peak, int16_t *patch);
void mcg_conv2d_grad_input_s8(const mcg_conv2d_t *g, const int8_t *e, const int8_t *w, const int8_t *x,
                              const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak);
void mcg_spread_s8(const int8_t *e, int32_t channels, const int8_t *w, int32_t pitch, int32_t count,
                   int32_t *acc);
int32_t mcg_output_s8(const int32_t *acc, const mcg_scale_t *scale, const int32_t *clip, int32_t zero,
                      int32_t count, int8_t *y);
int32_t mcg_error_s8(const int32_t *acc, const int8_t *x, int32_t x_zero, const mcg_scale_t *scale,
                     const int32_t *clip, int32_t count, int8_t *e);
void mcg_conv2d_update(const mcg_conv2d_t *g, const int8_t *x, const int8_t *e, const mcg_scale_t *factor,
                       const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step, uint32_t tensor,
                       int32_t rows, int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                       int16_t *patch);
void mcg_update_row(const mcg_rule_t *rule, const int32_t *gradient, int32_t count, int32_t o,
                    const mcg_scale_t *factor, uint32_t stream, int8_t *w, uint8_t *residual, float *w_scale);
void mcg_linear_s8(const mcg_linear_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                   const mcg_scale_t *scale, const int32_t *clip, int8_t *y, int32_t *peak);
void mcg_linear_grad_input_s8(const mcg_linear_t *g, const int8_t *e, const int8_t *w, const int8_t *x,
                              const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak);
void mcg_linear_update(const mcg_linear_t *g, const int8_t *x, const int8_t *e, const mcg_scale_t *factor,
                       const mcg_rule_t *rule, const uint32_t *seed, const uint32_t *step, uint32_t tensor,
                       int8_t *w, uint8_t *residual, float *w_scale);
void mcg_random_u16(uint32_t counter, int32_t count, uint16_t *random);
void mcg_prepare_s8(int32_t channels, const float *x_scale, const float *w_scale, const float *bias,
                    const float *y_scale, mcg_scale_t *scale, int32_t *bias_acc);
void mcg_prepare_error(int32_t channels, const float *range, const float *w_scale, mcg_scale_t *scale);
void mcg_track_error(const int32_t *peak, const float *c, float *range, float *c_x);
void mcg_track_scale(int32_t levels, const int32_t *peak, float *scale);
void mcg_prepare_update(int32_t channels, const float *rate, const float *c, const float *x_scale,
                        const float *w_scale, mcg_scale_t *factor);
void mcg_bias_update(int32_t pixels, int32_t channels, const int8_t *e, const float *rate, const float *c,
                     const float *w_scale, float *bias);
void mcg_softmax_cross_entropy_s8(int32_t classes, int32_t channels, int32_t zero, const int8_t *logits,
                                  const float *scale, uint32_t label, const float *w_scale,
                                  const int32_t *clip, int8_t *e, float *c, float *loss, float *confidence,
                                  float *probability);
void mcg_prepare_clip(const float *bounds, const float *scale, int32_t *clip);
void mcg_next_step(uint32_t *step);
void mcg_maxpool2d_s8(const mcg_pool2d_t *g, const int8_t *x, int8_t *y);
int32_t mcg_maxpool2d_winner(const mcg_pool2d_t *g, const int8_t *x, int32_t out_y, int32_t out_x,
                             int32_t channel);
void mcg_maxpool2d_grad_input_s8(const mcg_pool2d_t *g, const int8_t *e, const int8_t *x, int8_t *e_x);

void mcg_prepare_error_sum(const float *a_c, const float *b_c, float *range, int32_t *factor, float *unit);
void mcg_add_errors_s8(int32_t count, const int8_t *a, const int8_t *b, const int32_t *factor, int8_t *e,
                       int32_t *peak);
void mcg_prepare_error_ratio(int32_t channels, const float *range, const float *e_scale,
                             const float *e_x_scale, mcg_scale_t *scale);
void mcg_rescale_error_s8(int32_t count, int32_t channels, int32_t x_zero, int32_t sign, const int8_t *e,
                          const int8_t *x, const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                          int32_t *peak);
void mcg_prepare_add(int32_t sign, const float *a_scale, const float *b_scale, const float *y_scale,
                     int32_t *factor);
void mcg_add_s8(int32_t count, int32_t a_zero, int32_t b_zero, int32_t y_zero, const int8_t *a,
                const int8_t *b, const int32_t *factor, const int32_t *clip, int8_t *y, int32_t *peak);

extern const mcg_rule_t mcg_rule_sr8;
extern const mcg_rule_t mcg_rule_sr16;

#endif /* MCG_KERNELS_H */
