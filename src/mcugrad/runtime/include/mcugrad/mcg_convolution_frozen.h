/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions of layers that do not train: integer factors beside those in floats. */
#ifndef MCG_CONVOLUTION_FROZEN_H
#define MCG_CONVOLUTION_FROZEN_H

#include "mcg_convolution.h"

/**
 * @brief mcg_pointwise_s8 of a layer that does not train and has no bounds but those of int8: nobody asks for
 * its peak.
 *
 * @param[in]  g     geometry and zero points
 * @param[in]  x     input, [out_h][out_w][in_c]
 * @param[in]  w     weights, [out_c][in_c]
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  bias  [out_c], in accumulator units, within +-2^29
 * @param[in]  scale factors, accumulator to output, [out_c]
 * @param[in]  mult  integers with which every sum gives the output that `scale` gives, [out_c]: the sum times
 *                   that, less 32 bits, is the output with MCG_FIXED_BITS of fraction; 0 where none does
 * @param[in]  clip  bounds as mcg_pointwise_s8 has them, which no int8 lies beyond
 * @param[out] y     output, [out_h][out_w][out_c]; must not overlap x
 * @param[in]  room  bytes of scratch; 0 for none
 * @param[out] scratch memory that makes it faster, with no meaning afterwards
 *
 * MACs: out_h*out_w*out_c*in_c. Stack: as mcg_pointwise_s8.
 * Reference: ops/convolution/pointwise_s8.py::pointwise_frozen_s8.
 */
void mcg_pointwise_frozen_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                             const int32_t *bias, const float *scale, const int32_t *mult,
                             const int32_t *clip, int8_t *y, int32_t room, uint32_t *scratch);

/**
 * @brief mcg_depthwise_conv2d_s8 of a layer that does not train and has no bounds but those of int8: nobody
 * asks for its peak.
 *
 * @param[in]  g     geometry and zero points
 * @param[in]  x     input, [in_h][in_w][in_c]
 * @param[in]  w     weights, [out_c][k_h][k_w]; output channel o reads input channel o / (out_c / in_c)
 * @param[in]  w_zero zero point of the weights; NULL for none, then they are in [-127, 127]
 * @param[in]  bias  [out_c], in accumulator units, within +-2^29
 * @param[in]  scale factors, accumulator to output, [out_c]
 * @param[in]  mult  integers in the place of these, as mcg_pointwise_frozen_s8 has them, [out_c]
 * @param[in]  clip  bounds as mcg_depthwise_conv2d_s8 has them, which no int8 lies beyond
 * @param[out] y     output, [out_h][out_w][out_c]; must not overlap x, but where each channel reads
 *                   itself alone it may begin before x, by so many pixels that a row of outputs ends
 *                   before all that its windows and later ones begin with
 * @param[out] packed scratch, [k_h * k_w][at most MCG_BLOCK channels]
 * @param[in]  room  bytes of scratch; 0 for none
 * @param[out] scratch memory that makes it faster, with no meaning afterwards: planes of four channels
 *
 * MACs: out_h*out_w*out_c*k_h*k_w. Stack: as mcg_depthwise_conv2d_s8.
 * Reference: ops/convolution/depthwise_conv2d_s8.py::depthwise_frozen_s8.
 */
void mcg_depthwise_frozen_s8(const mcg_conv2d_t *g, const int8_t *x, const int8_t *w, const int32_t *w_zero,
                             const int32_t *bias, const float *scale, const int32_t *mult,
                             const int32_t *clip, int8_t *y, int8_t *packed, int32_t room, uint32_t *scratch);

#endif /* MCG_CONVOLUTION_FROZEN_H */
