/* SPDX-License-Identifier: Apache-2.0 */
/* What moves values and changes none: slices, copies of pixels. */
#ifndef MCG_MOVEMENT_H
#define MCG_MOVEMENT_H

#include "mcg_core.h"

/**
 * @brief Copy the elements of a part out of the whole.
 *
 * @param[in]  g     geometry
 * @param[in]  whole [whole_h][whole_w][whole_c]
 * @param[out] part  [part_h][part_w][part_c]
 *
 * MACs: none. Scratch: none. Reference: ops/movement/slice_s8.py::gather_s8.
 */
void mcg_gather_s8(const mcg_slice_t *g, const int8_t *whole, int8_t *part);

/**
 * @brief Copy a part to its place in the whole; everything else becomes `fill`.
 *
 * @param[in]  g     geometry
 * @param[in]  fill  value of the other elements
 * @param[in]  part  [part_h][part_w][part_c]
 * @param[out] whole [whole_h][whole_w][whole_c]
 *
 * MACs: none. Scratch: none. Reference: ops/movement/slice_s8.py::scatter_s8.
 */
void mcg_scatter_s8(const mcg_slice_t *g, int32_t fill, const int8_t *part, int8_t *whole);

/**
 * @brief Every pixel of a map factor_h * factor_w times.
 *
 * @param[in]  height   of x
 * @param[in]  width    of x
 * @param[in]  channels of both
 * @param[in]  factor_h copies of a row
 * @param[in]  factor_w copies of a column
 * @param[in]  x        map, [height][width][channels]
 * @param[out] y        map, [height * factor_h][width * factor_w][channels]
 *
 * MACs: none. Scratch: none. Reference: ops/movement/upsample2d_s8.py::upsample2d_s8.
 */
void mcg_upsample2d_s8(int32_t height, int32_t width, int32_t channels, int32_t factor_h, int32_t factor_w,
                       const int8_t *x, int8_t *y);

/**
 * @brief e_x = rescale(sum of e over the copies of each pixel), masked by the activation function that made
 * x.
 *
 * @param[in]  height   of x
 * @param[in]  width    of x
 * @param[in]  channels of both
 * @param[in]  factor_h copies of a row
 * @param[in]  factor_w copies of a column
 * @param[in]  x_zero   zero point of x
 * @param[in]  e        error of the copies, [height * factor_h][width * factor_w][channels], in [-127, 127]
 * @param[in]  x        the input, [height][width][channels]
 * @param[in]  scale    accumulator to error, one for all
 * @param[in]  clip     bounds of the activation function that made x, relative to its zero point
 * @param[out] e_x      error of x, [height][width][channels], in [-127, 127]
 * @param[out] peak     largest magnitude of e_x before saturation
 *
 * MACs: none. Scratch: none. Reference: ops/movement/upsample2d_s8.py::upsample2d_grad_input_s8.
 */
void mcg_upsample2d_grad_input_s8(int32_t height, int32_t width, int32_t channels, int32_t factor_h,
                                  int32_t factor_w, int32_t x_zero, const int8_t *e, const int8_t *x,
                                  const mcg_scale_t *scale, const int32_t *clip, int8_t *e_x, int32_t *peak);

/**
 * @brief part = whole[first :: step].
 *
 * Reference: ops/movement/slice_f32.py::gather_f32.
 */
void mcg_gather_f32(const mcg_slice_t *g, const float *whole, float *part);

/**
 * @brief whole[first :: step] = part; 0 elsewhere.
 *
 * Reference: ops/movement/slice_f32.py::scatter_f32.
 */
void mcg_scatter_f32(const mcg_slice_t *g, const float *part, float *whole);

/**
 * @brief y[i, j] = x[i / factor_h, j / factor_w]; `height` and `width` are those of x.
 *
 * Reference: ops/movement/upsample2d_f32.py::upsample2d_f32.
 */
void mcg_upsample2d_f32(int32_t height, int32_t width, int32_t channels, int32_t factor_h, int32_t factor_w,
                        const float *x, float *y);

/**
 * @brief Error of a pixel: the sum over its copies, row by row.
 *
 * Reference: ops/movement/upsample2d_f32.py::upsample2d_grad_input_f32.
 */
void mcg_upsample2d_grad_input_f32(int32_t height, int32_t width, int32_t channels, int32_t factor_h,
                                   int32_t factor_w, const float *e, float *e_x);

#endif /* MCG_MOVEMENT_H */
