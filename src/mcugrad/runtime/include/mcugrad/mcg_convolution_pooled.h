/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions whose outputs are pooled at once, so that a whole map of them, or of its errors, never exists.
 */
#ifndef MCG_CONVOLUTION_POOLED_H
#define MCG_CONVOLUTION_POOLED_H

#include "mcg_pooling.h"

/**
 * @brief mcg_conv2d_s8 and mcg_maxpool2d_keep_s8, a few rows of windows at a time.
 *
 * @param[in]  g     geometry of both; a row of windows fills whole bytes of kept
 * @param[in]  x     input, [in_h][in_w][in_c]
 * @param[in]  w     weights, [out_c][k_h][k_w][in_c]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  bias  [out_c], in accumulator units, within +-2^29
 * @param[in]  scale factors, accumulator to output, [out_c]
 * @param[in]  clip  lower and upper bound of the activation function, relative to y_zero
 * @param[out] y     pooled output, [pool.out_h][pool.out_w][out_c]; must not overlap x
 * @param[out] kept  places of those that won, as mcg_maxpool2d_keep_s8 keeps them; NULL for none
 * @param[out] peak  largest |output - y_zero| after clipping, before saturation to int8, whether it won or
 * not
 * @param[out] band  scratch, the convolution's output for so many rows of windows
 * @param[out] patch scratch, [k_h * k_w * in_c]
 * @param[in]  room  bytes of scratch; 0 for none
 * @param[out] scratch memory that makes it faster, with no meaning afterwards
 *
 * MACs: those of the convolution where windows leave no gaps. Stack: that of mcg_conv2d_s8 and 150 bytes.
 * Reference: ops/convolution/conv2d_maxpool_s8.py::conv2d_maxpool_s8.
 */
void mcg_conv2d_maxpool_s8(const mcg_pooled_conv2d_t *g, const int8_t *x, const int8_t *w,
                           const int32_t *w_zero, const int32_t *bias, const float *scale,
                           const int32_t *clip, int8_t *y, uint8_t *kept, int32_t *peak, int8_t *band,
                           int16_t *patch, int32_t room, uint32_t *scratch);

/**
 * @brief mcg_maxpool2d_grad_kept_s8 and mcg_conv2d_grad_input_s8, a few rows of the input at a time.
 *
 * @param[in]  g      geometry of both; conv.x_zero is the zero point of x
 * @param[in]  e      error of the pooled output, [pool.out_h][pool.out_w][out_c], in [-127, 127]
 * @param[in]  kept   places of those that won
 * @param[in]  w      weights, [out_c][k_h][k_w][in_c]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  x      the convolution's input: where it is on a bound of clip, or beyond, the error is 0
 * @param[in]  scale  accumulator to error, [in_c]
 * @param[in]  clip   bounds of the activation function that made x, relative to x_zero
 * @param[out] e_x    error of the input, [in_h][in_w][in_c], in [-127, 127]; must not overlap e
 * @param[out] peak   largest magnitude of e_x before saturation
 * @param[out] band   scratch, the errors of the convolution's output that these rows need
 * @param[in]  room   bytes of scratch; 0 for none
 * @param[out] scratch memory that makes it faster, with no meaning afterwards
 *
 * MACs: as mcg_conv2d_grad_input_s8. Stack: that of it and 150 bytes.
 * Reference: ops/convolution/conv2d_maxpool_s8.py::conv2d_maxpool_grad_input_s8.
 */
void mcg_conv2d_maxpool_grad_input_s8(const mcg_pooled_conv2d_t *g, const int8_t *e, const uint8_t *kept,
                                      const int8_t *w, const int32_t *w_zero, const int8_t *x,
                                      const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x,
                                      int32_t *peak, int8_t *band, int32_t room, uint32_t *scratch);

/**
 * @brief mcg_conv2d_update, from the errors of those outputs that won: all others are 0. Where scratch holds
 * the errors of all outputs it is that kernel, with the rest of it.
 *
 * @param[in]     g        geometry of both; conv.x_zero is the zero point of x
 * @param[in]     x        the convolution's input, [in_h][in_w][in_c]
 * @param[in]     e        error of the pooled output, [pool.out_h][pool.out_w][out_c], in [-127, 127]
 * @param[in]     kept     places of those that won
 * @param[in]     factor   gradient to 1/65536 weight steps, [out_c]
 * @param[in]     rule     how weights are stored and updated
 * @param[in]     seed     of the random numbers
 * @param[in]     step     number of the training step
 * @param[in]     tensor   16 times the number of the layer, for random numbers
 * @param[in]     rows     output channels whose gradients exist at a time
 * @param[in,out] w        weights, [out_c][k_h][k_w][in_c]
 * @param[in,out] residual the rule's residual bits, one row per output channel, or NULL
 * @param[in,out] w_scale  [out_c]; grows where a weight saturated
 * @param[out]    gradient scratch, [min(rows, out_c)][k_h * k_w * in_c]
 * @param[out]    patch    scratch, [k_h * k_w * in_c]
 * @param[in]     room     bytes of scratch; 0 for none
 * @param[out]    scratch  memory that makes it faster, with no meaning afterwards
 *
 * MACs: pool.out_h*pool.out_w*out_c*k_h*k_w*in_c, without those of zero errors. Stack: 100 bytes and that of
 * the rule. Reference: ops/convolution/conv2d_maxpool_s8.py::conv2d_maxpool_update.
 */
void mcg_conv2d_maxpool_update(const mcg_pooled_conv2d_t *g, const int8_t *x, const int8_t *e,
                               const uint8_t *kept, const mcg_scale_t *factor, const mcg_rule_t *rule,
                               const uint32_t *seed, const uint32_t *step, uint32_t tensor, int32_t rows,
                               int8_t *w, uint8_t *residual, float *w_scale, int32_t *gradient,
                               int16_t *patch, int32_t room, uint32_t *scratch);

/** Bytes of a pooled row's places. */
static inline int32_t mcg_pooled_kept(const mcg_pool2d_t *pool, uint32_t bits)
{
    return (int32_t)((uint32_t)(pool->out_w * pool->channels) * bits / 8U);
}

#endif /* MCG_CONVOLUTION_POOLED_H */
