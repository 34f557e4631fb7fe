/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of CMSIS-NN with plain arguments: its structs are filled in here, some forty instructions of each
 * count. */
#include <stddef.h>

#include "arm_nnfunctions.h"

/* Numbers of a layer: `mcg_conv2d_t` in its order, then the bounds of the outputs. */
enum {
    IN_H,
    IN_W,
    IN_C,
    OUT_H,
    OUT_W,
    OUT_C,
    K_H,
    K_W,
    STRIDE_H,
    STRIDE_W,
    PAD_TOP,
    PAD_LEFT,
    DILATION_H,
    DILATION_W,
    X_ZERO,
    Y_ZERO,
    LOW,
    HIGH
};

static cmsis_nn_tile tile(int32_t h, int32_t w)
{
    const cmsis_nn_tile found = {w, h};
    return found;
}

static cmsis_nn_activation bounds(const int32_t *g)
{
    const cmsis_nn_activation found = {g[LOW], g[HIGH]};
    return found;
}

static cmsis_nn_dims dims(int32_t n, int32_t h, int32_t w, int32_t c)
{
    const cmsis_nn_dims found = {n, h, w, c};
    return found;
}

int32_t peer_convolution(const int32_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                         int32_t *multiplier, int32_t *shift, int8_t *y, void *buffer);
int32_t peer_depthwise(const int32_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                       int32_t *multiplier, int32_t *shift, int8_t *y, void *buffer);
int32_t peer_linear(const int32_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                    int32_t *multiplier, int32_t *shift, int8_t *y, void *buffer);
int32_t peer_convolution_room(const int32_t *g);
int32_t peer_depthwise_room(const int32_t *g);

static cmsis_nn_conv_params convolution(const int32_t *g)
{
    const cmsis_nn_conv_params found = {-g[X_ZERO],
                                        g[Y_ZERO],
                                        tile(g[STRIDE_H], g[STRIDE_W]),
                                        tile(g[PAD_TOP], g[PAD_LEFT]),
                                        tile(g[DILATION_H], g[DILATION_W]),
                                        bounds(g)};
    return found;
}

static cmsis_nn_dw_conv_params depthwise(const int32_t *g)
{
    const cmsis_nn_dw_conv_params found = {-g[X_ZERO],
                                           g[Y_ZERO],
                                           g[OUT_C] / g[IN_C],
                                           tile(g[STRIDE_H], g[STRIDE_W]),
                                           tile(g[PAD_TOP], g[PAD_LEFT]),
                                           tile(g[DILATION_H], g[DILATION_W]),
                                           bounds(g)};
    return found;
}

int32_t peer_convolution(const int32_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                         int32_t *multiplier, int32_t *shift, int8_t *y, void *buffer)
{
    const cmsis_nn_context context = {buffer, 0};
    const cmsis_nn_conv_params params = convolution(g);
    const cmsis_nn_per_channel_quant_params quant = {multiplier, shift};
    const cmsis_nn_dims in = dims(1, g[IN_H], g[IN_W], g[IN_C]),
                        filter = dims(g[OUT_C], g[K_H], g[K_W], g[IN_C]);
    const cmsis_nn_dims biases = dims(1, 1, 1, g[OUT_C]), out = dims(1, g[OUT_H], g[OUT_W], g[OUT_C]);
    return arm_convolve_wrapper_s8(&context, &params, &quant, &in, x, &filter, w, &biases, bias, &out, y);
}

int32_t peer_convolution_room(const int32_t *g)
{
    const cmsis_nn_conv_params params = convolution(g);
    const cmsis_nn_dims in = dims(1, g[IN_H], g[IN_W], g[IN_C]),
                        filter = dims(g[OUT_C], g[K_H], g[K_W], g[IN_C]);
    const cmsis_nn_dims out = dims(1, g[OUT_H], g[OUT_W], g[OUT_C]);
    return arm_convolve_wrapper_s8_get_buffer_size(&params, &in, &filter, &out);
}

int32_t peer_depthwise(const int32_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                       int32_t *multiplier, int32_t *shift, int8_t *y, void *buffer)
{
    const cmsis_nn_context context = {buffer, 0};
    const cmsis_nn_dw_conv_params params = depthwise(g);
    const cmsis_nn_per_channel_quant_params quant = {multiplier, shift};
    const cmsis_nn_dims in = dims(1, g[IN_H], g[IN_W], g[IN_C]), filter = dims(1, g[K_H], g[K_W], g[OUT_C]);
    const cmsis_nn_dims biases = dims(1, 1, 1, g[OUT_C]), out = dims(1, g[OUT_H], g[OUT_W], g[OUT_C]);
    return arm_depthwise_conv_wrapper_s8(&context, &params, &quant, &in, x, &filter, w, &biases, bias, &out,
                                         y);
}

int32_t peer_depthwise_room(const int32_t *g)
{
    const cmsis_nn_dw_conv_params params = depthwise(g);
    const cmsis_nn_dims in = dims(1, g[IN_H], g[IN_W], g[IN_C]), filter = dims(1, g[K_H], g[K_W], g[OUT_C]);
    const cmsis_nn_dims out = dims(1, g[OUT_H], g[OUT_W], g[OUT_C]);
    return arm_depthwise_conv_wrapper_s8_get_buffer_size(&params, &in, &filter, &out);
}

int32_t peer_linear(const int32_t *g, const int8_t *x, const int8_t *w, const int32_t *bias,
                    int32_t *multiplier, int32_t *shift, int8_t *y, void *buffer)
{
    const cmsis_nn_context context = {buffer, 0};
    const cmsis_nn_fc_params params = {-g[X_ZERO], 0, g[Y_ZERO], bounds(g)};
    const cmsis_nn_per_channel_quant_params quant = {multiplier, shift};
    const cmsis_nn_dims in = dims(1, 1, 1, g[IN_C]), filter = dims(g[IN_C], 1, 1, g[OUT_C]);
    const cmsis_nn_dims biases = dims(1, 1, 1, g[OUT_C]), out = dims(1, 1, 1, g[OUT_C]);
    return arm_fully_connected_per_channel_s8(&context, &params, &quant, &in, x, &filter, w, &biases, bias,
                                              &out, y);
}
