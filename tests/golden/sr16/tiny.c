/*
 * tiny.c - tiny.onnx with on-device training. Generated: do not edit.
 * Runtime: mcugrad <version>, SPDX-License-Identifier: Apache-2.0
 */
#include "tiny.h"

<runtime>
/* ---- constants ------------------------------------------------------------------------------------------- */

static const mcg_conv2d_t tiny_conv1_layer = {4, 4, 1, 3, 3, 2, 2, 2, 1, 1, 0, 0, 1, 1, -1, -128};
static const mcg_linear_t tiny_fc1_layer = {18, 3, 18, -128, 0};

/* accumulator to output, per channel [2] */
static const mcg_scale_t tiny_conv1_scale[2] = {
    {33466, 22, 0}, {57245, 23, 0}
};
/* bias in accumulator units [2] */
static const int32_t tiny_conv1_bias[2] = {
    213, 1495
};
/* real units per step */
static const float tiny_conv1_y_scale = 9.191177e-03F;
/* weights [2][2][2][1] */
static const int8_t tiny_conv1_w[8] = {
    35, -60, -120, -127, 96, 127, 33, 70
};
/* activation bounds, steps [2] */
static const int32_t tiny_clip_relu[2] = {
    0, 1073741824
};
/* activation bounds, steps [2] */
static const int32_t tiny_clip_none[2] = {
    -1073741824, 1073741824
};
/* label smoothing */
static const float tiny_smoothing = 0.0e+00F;

/* The state at delivery. */
static const tiny_params_t tiny_initial = {
    .fc1_w_scale = {
        4.5521655e-03F, 3.937008e-03F, 4.0600393e-03F
    },
    .fc1_b = {
        -4.6875e-02F, 3.125e-02F, -6.25e-02F
    },
    .fc1_y_scale = 1.7612955e-02F,
    .rate = 1.0e-02F,
    .seed = 0U,
    .step = 0U,
    .fc1_w = {
        79, -21, -127, -120, 89, -96, -117, 45, 58, 38, -82, 31, 93, -31, 10, 127, -51, 124, 56, 115, 44, 127,
        56, -44, -32, 20, -107, -52, 64, 28, 8, -48, -56, -32, -4, 115, -77, -100, 35, -15, -119, 85, 96, -77,
        81, -127, -73, -27, 108, -85, -127, -115, -46, 23
    },
    .fc1_w_residual = {
        114, 232, 128, 93, 190, 100, 204, 31, 218, 66, 31, 100, 45, 156, 204, 128, 3, 17, 16, 152, 40, 128,
        16, 216, 192, 88, 88, 232, 0, 72, 112, 224, 240, 192, 136, 152, 136, 112, 35, 27, 50, 43, 182, 136,
        81, 128, 97, 144, 66, 213, 128, 12, 81, 151
    },
};

MCG_STATIC_ASSERT(sizeof(tiny_t) == TINY_RAM_SIZE, "this compiler lays tiny_t out differently");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_w_scale) == 4, "fc1_w_scale moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_b) == 16, "fc1_b moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_y_scale) == 28, "fc1_y_scale moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.rate) == 32, "rate moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.seed) == 36, "seed moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.step) == 40, "step moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_w) == 44, "fc1_w moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_w_residual) == 98, "fc1_w_residual moved");

#define TINY_READY 0x6d636731U

/* ---- steps ----------------------------------------------------------------------------------------------- */

static void tiny_forward(tiny_t *m, const int8_t *x)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    /* 1/9 conv1  conv 2x2 relu  4x4x1 -> 3x3x2 */
    mcg_conv2d_s8(&tiny_conv1_layer, x, tiny_conv1_w, tiny_conv1_bias, tiny_conv1_scale, tiny_clip_relu,
                  a->conv1_y.v, &a->conv1_y_peak.v, a->conv1_patch.v);
    /* 2/9 fc1  factors and biases */
    mcg_prepare_s8(3, &tiny_conv1_y_scale, p->fc1_w_scale, p->fc1_b, &p->fc1_y_scale, a->fc1_scale.v,
                   a->fc1_bias.v);
    /* 3/9 fc1  linear  18 -> 3 */
    mcg_linear_s8(&tiny_fc1_layer, a->conv1_y.v, p->fc1_w, a->fc1_bias.v, a->fc1_scale.v, tiny_clip_none,
                  a->fc1_y.v, &a->fc1_y_peak.v);
}

static void tiny_backward(tiny_t *m, const int8_t *x, uint32_t label)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    (void)x;
    /* 4/9 loss  softmax cross-entropy  3 classes */
    mcg_softmax_cross_entropy_s8(3, 3, 0, a->fc1_y.v, &p->fc1_y_scale, label, &tiny_smoothing, p->fc1_w_scale,
                                 tiny_clip_none, a->fc1_y_e.v, &a->fc1_y_e_c.v, &a->loss.v, &a->confidence.v,
                                 a->probability.v);
    /* 5/9 fc1_bias_update  biases */
    mcg_bias_update(1, 3, a->fc1_y_e.v, &p->rate, &a->fc1_y_e_c.v, p->fc1_w_scale, p->fc1_b);
    /* 6/9 fc1_update  factors */
    mcg_prepare_update(3, &p->rate, &a->fc1_y_e_c.v, &tiny_conv1_y_scale, p->fc1_w_scale,
                       a->fc1_update_factor.v);
    /* 7/9 fc1_update  weights by sr16 */
    mcg_linear_update(&tiny_fc1_layer, a->conv1_y.v, a->fc1_y_e.v, a->fc1_update_factor.v, &mcg_rule_sr16,
                      &p->seed, &p->step, 5U, p->fc1_w, p->fc1_w_residual, p->fc1_w_scale);
    /* 8/9 fc1_y_track  scale for the next step */
    mcg_track_scale(127, &a->fc1_y_peak.v, &p->fc1_y_scale);
    /* 9/9 next_step  count the step */
    mcg_next_step(&p->step);
}

/* ---- interface ------------------------------------------------------------------------------------------- */

mcg_status_t tiny_init(tiny_t *m)
{
    if (m == NULL) {
        return MCG_ERR_NULL;
    }
    m->params = tiny_initial;
    m->ready = TINY_READY;
    return MCG_OK;
}

mcg_status_t tiny_quantize(const float real[TINY_INPUT_SIZE], int8_t x[TINY_INPUT_SIZE])
{
    if (real == NULL || x == NULL) {
        return MCG_ERR_NULL;
    }
    for (int32_t i = 0; i < TINY_INPUT_SIZE; i++) {
        const int32_t q = mcg_round(real[i] / 7.843138e-03F, 1024) + (-1);
        x[i] = (int8_t)mcg_clamp(q, -128, 127);
    }
    return MCG_OK;
}

mcg_status_t tiny_predict(tiny_t *m, const int8_t x[TINY_INPUT_SIZE],
                          int8_t y[TINY_OUTPUT_SIZE])
{
    if (m == NULL || x == NULL || y == NULL) {
        return MCG_ERR_NULL;
    }
    if (m->ready != TINY_READY) {
        return MCG_ERR_STATE;
    }
    tiny_forward(m, x);
    {
        tiny_arena_t *const a = &m->arena;
        const int8_t *const logits = a->fc1_y.v;
        for (int32_t i = 0; i < TINY_OUTPUT_SIZE; i++) {
            y[i] = logits[i];
        }
    }
    return MCG_OK;
}

mcg_status_t tiny_train_step(tiny_t *m, const int8_t x[TINY_INPUT_SIZE],
                             uint32_t label, tiny_step_t *step)
{
    uint32_t predicted = 0;
    if (m == NULL || x == NULL) {
        return MCG_ERR_NULL;
    }
    if (m->ready != TINY_READY) {
        return MCG_ERR_STATE;
    }
    if (label >= TINY_OUTPUT_SIZE) {
        return MCG_ERR_LABEL;
    }
    tiny_forward(m, x);
    {
        tiny_arena_t *const a = &m->arena;
        const int8_t *const logits = a->fc1_y.v;
        for (uint32_t i = 1; i < TINY_OUTPUT_SIZE; i++) {
            predicted = logits[i] > logits[predicted] ? i : predicted;
        }
    }
    tiny_backward(m, x, label);
    if (step != NULL) {
        step->loss = m->arena.loss.v;
        step->confidence = m->arena.confidence.v;
        step->predicted = predicted;
    }
    return MCG_OK;
}

mcg_status_t tiny_set_rate(tiny_t *m, float rate)
{
    if (m == NULL) {
        return MCG_ERR_NULL;
    }
    if (m->ready != TINY_READY) {
        return MCG_ERR_STATE;
    }
    if (!(rate >= 0.0F && rate <= 3.0e38F)) {
        return MCG_ERR_RATE;
    }
    m->params.rate = rate;
    return MCG_OK;
}
