/* SPDX-License-Identifier: Apache-2.0 AND LicenseRef-tiny */
/*
 * tiny.c - tiny.onnx with on-device training. Generated: do not edit.
 * The runtime is that of mcugrad <version>, Apache-2.0; what is generated is yours: see LICENSE.
 */
#include "tiny.h"

<runtime>
/* ---- constants ------------------------------------------------------------------------------------------- */

static const mcg_conv2d_t tiny_conv1_layer = {4, 4, 1, 3, 3, 2, 2, 2, 1, 1, 0, 0, 1, 1, -1, -128};
static const mcg_linear_t tiny_fc1_layer = {18, 3, 18, -128, 0};
static const mcg_linear_t tiny_fc1_grad_input_layer = {18, 3, 2, -128, 0};

/* real units per step */
static const float tiny_input_scale = 7.843138e-03F;
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
/* largest change, in norms of a row */
static const float tiny_conv1_w_clip = 2.0e-02F;
/* weight decay */
static const float tiny_conv1_w_decay = 1.0e-03F;

/* What the model begins with: as delivered, nothing trained yet. */
static const tiny_params_t tiny_initial = {
    /* conv1_w_scale */ {
        9.350394e-03F, 7.997047e-03F
    },
    /* conv1_b */ {
        1.5625e-02F, 9.375e-02F
    },
    /* conv1_y_scale */ 9.191177e-03F,
    /* fc1_w_scale */ {
        4.5521655e-03F, 3.937008e-03F, 4.0600393e-03F
    },
    /* fc1_b */ {
        -4.6875e-02F, 3.125e-02F, -6.25e-02F
    },
    /* fc1_y_scale */ 1.7612955e-02F,
    /* schedule */ {0U, 0U, 0U, 0U, 1U, 8.0e-03F, 0.0e+00F, 1.0e+00F},
    /* step */ 0U,
    /* watch */ {0U, 0.0e+00F, 0.0e+00F, 0.0e+00F, 0.0e+00F},
    /* flatten1_y_e_range */ 1.0e+00F,
    /* seed */ 0U,
    /* conv1_b_change */ {
        0.0e+00F, 0.0e+00F
    },
    /* conv1_w_change_scale */ {
        9.131244e-06F, 7.809616e-06F
    },
    /* conv1_w */ {
        35, -60, -120, -127, 96, 127, 33, 70
    },
    /* fc1_w */ {
        79, -20, -127, -120, 89, -96, -117, 45, 58, 38, -82, 31, 93, -31, 10, 127, -51, 124, 56, 115, 44, 127,
        56, -44, -32, 20, -107, -51, 64, 28, 8, -48, -55, -32, -4, 115, -77, -100, 35, -15, -119, 85, 96, -77,
        81, -127, -73, -27, 108, -85, -127, -115, -46, 23
    },
    /* fc1_w_residual */ {
        98, 59, 135, 185, 0, 152, 124, 65, 206, 10, 26, 181, 169, 45, 9
    },
    /* conv1_w_change */ {
        0, 0, 0, 0, 0, 0, 0, 0
    },
    /* conv1_w_change_residual */ {
        128, 128, 128, 128, 128, 128, 128, 128
    },
    /* conv1_w_residual */ {
        89, 131, 132, 219
    },
};

MCG_STATIC_ASSERT(sizeof(tiny_t) == TINY_RAM_SIZE, "this compiler lays tiny_t out differently");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.conv1_w_scale) == 4, "conv1_w_scale moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.conv1_b) == 12, "conv1_b moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.conv1_y_scale) == 20, "conv1_y_scale moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_w_scale) == 24, "fc1_w_scale moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_b) == 36, "fc1_b moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_y_scale) == 48, "fc1_y_scale moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.schedule) == 52, "schedule moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.step) == 84, "step moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.watch) == 88, "watch moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.flatten1_y_e_range) == 108, "flatten1_y_e_range moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.seed) == 112, "seed moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.conv1_b_change) == 116, "conv1_b_change moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.conv1_w_change_scale) == 124, "conv1_w_change_scale moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.conv1_w) == 132, "conv1_w moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_w) == 140, "fc1_w moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_w_residual) == 194, "fc1_w_residual moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.conv1_w_change) == 209, "conv1_w_change moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.conv1_w_change_residual) == 217, "conv1_w_change_residual moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.conv1_w_residual) == 225, "conv1_w_residual moved");

/* ---- steps ----------------------------------------------------------------------------------------------- */

/* From the sample to the logits. */
MCG_APART static void tiny_forward(tiny_t *m, const int8_t *x)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    /* 1/24 conv1  factors and biases */
    mcg_prepare_s8(2, &tiny_input_scale, p->conv1_w_scale, p->conv1_b, &p->conv1_y_scale, a->conv1_scale.v,
                   a->conv1_bias.v);
    /* 2/24 conv1  conv 2x2 relu  4x4x1 -> 3x3x2 */
    mcg_conv2d_s8(&tiny_conv1_layer, x, p->conv1_w, NULL, a->conv1_bias.v, a->conv1_scale.v, tiny_clip_relu,
                  a->conv1_y.v, &a->conv1_y_peak.v, a->conv1_patch.v, 256, a->conv1_scratch.v);
    /* 3/24 fc1  factors and biases */
    mcg_prepare_s8(3, &p->conv1_y_scale, p->fc1_w_scale, p->fc1_b, &p->fc1_y_scale, a->fc1_scale.v,
                   a->fc1_bias.v);
    /* 4/24 fc1  linear  18 -> 3 */
    mcg_linear_s8(&tiny_fc1_layer, a->conv1_y.v, p->fc1_w, NULL, a->fc1_bias.v, a->fc1_scale.v,
                  tiny_clip_none, a->fc1_y.v, &a->fc1_y_peak.v, 0, NULL);
}

/* Learning rate of the step. */
MCG_APART static void tiny_begin(tiny_t *m)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    /* 5/24 begin_step  learning rate */
    mcg_begin_step(&p->schedule, &p->step, &a->rate.v, &a->saturated.v);
}

/* Loss, error of the logits, and how training goes. */
MCG_APART static void tiny_loss(tiny_t *m, uint32_t label)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    /* 6/24 loss  softmax cross-entropy  3 classes */
    mcg_softmax_cross_entropy_s8(3, 3, 0, a->fc1_y.v, &p->fc1_y_scale, label, &tiny_smoothing, p->fc1_w_scale,
                                 tiny_clip_none, a->fc1_y_e.v, a->fc1_y_e_c.v, &a->loss.v, &a->confidence.v,
                                 a->probability.v);
    /* 7/24 watch  prediction */
    mcg_argmax_s8(3, a->fc1_y.v, &a->predicted.v);
    /* 8/24 watch  running loss and accuracy */
    mcg_watch_class(label, &a->predicted.v, &a->loss.v, &p->watch);
}

/* Errors down through the layers, and what is learned from them. */
MCG_APART static void tiny_backward(tiny_t *m, const int8_t *x)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    /* 9/24 fc1_grad_input  factors */
    mcg_prepare_error(2, &p->flatten1_y_e_range, a->fc1_y_e_c.v, p->conv1_w_scale, a->flatten1_y_e_factor.v);
    /* 10/24 fc1_grad_input  error of flatten1_y */
    mcg_linear_grad_input_s8(&tiny_fc1_grad_input_layer, a->fc1_y_e.v, NULL, p->fc1_w, NULL, a->conv1_y.v,
                             a->flatten1_y_e_factor.v, tiny_clip_relu, a->flatten1_y_e.v,
                             &a->flatten1_y_e_peak.v);
    /* 11/24 fc1_grad_input  unit, fill and range */
    mcg_track_error(0, &a->flatten1_y_e_peak.v, a->fc1_y_e_c.v, &p->flatten1_y_e_range, a->flatten1_y_e_c.v,
                    &a->saturated.v);
    /* 12/24 fc1_bias_update  biases */
    mcg_bias_update(1, 3, a->fc1_y_e.v, NULL, NULL, &a->rate.v, a->fc1_y_e_c.v, p->fc1_w_scale, p->fc1_b);
    /* 13/24 fc1_update  factors */
    mcg_prepare_update(3, NULL, NULL, &a->rate.v, a->fc1_y_e_c.v, &p->conv1_y_scale, p->fc1_w_scale,
                       p->fc1_w_scale, a->fc1_update_factor.v);
    /* 14/24 fc1_update  weights by sr10 */
    mcg_linear_update(&tiny_fc1_layer, a->conv1_y.v, a->fc1_y_e.v, NULL, a->fc1_update_factor.v,
                      &mcg_rule_sr10, &p->seed, &p->step, 32U, p->fc1_w, p->fc1_w_residual, p->fc1_w_scale);
    /* 15/24 conv1_bias_update  rate of a mean */
    mcg_mean_rate(&a->rate.v, 8, &a->rate_of_8.v);
    /* 16/24 conv1_bias_update  changes of biases */
    mcg_bias_update(9, 2, a->flatten1_y_e.v, NULL, NULL, &a->rate_of_8.v, a->flatten1_y_e_c.v,
                    p->conv1_w_scale, p->conv1_b_change);
    /* 17/24 conv1_update  factors */
    mcg_prepare_update(2, NULL, NULL, &a->rate_of_8.v, a->flatten1_y_e_c.v, &tiny_input_scale,
                       p->conv1_w_scale, p->conv1_w_change_scale, a->conv1_update_factor.v);
    /* 18/24 conv1_update  changes of weights */
    mcg_conv2d_update(&tiny_conv1_layer, x, a->flatten1_y_e.v, NULL, a->conv1_update_factor.v, &mcg_rule_sr16,
                      &p->seed, &p->step, 16U, 2, p->conv1_w_change, p->conv1_w_change_residual,
                      p->conv1_w_change_scale, a->conv1_gradient.v, a->conv1_patch2.v, 336,
                      a->conv1_update_scratch.v);
    /* 19/24 conv1_apply  weights by sr12 */
    mcg_apply_update(2, 4, 8, 58982, &tiny_conv1_w_clip, &a->rate.v, &mcg_rule_sr12, &p->seed, &p->step, 16U,
                     p->conv1_w, p->conv1_w_residual, p->conv1_w_scale, p->conv1_w_change,
                     p->conv1_w_change_residual, p->conv1_w_change_scale, a->conv1_w_kept.v);
    /* 20/24 conv1_decay  weight decay */
    mcg_decay_weights(2, 4, NULL, &tiny_conv1_w_decay, &a->rate_of_8.v, &mcg_rule_sr12, &p->seed, &p->step,
                      16U, p->conv1_w, p->conv1_w_residual);
    /* 21/24 conv1_apply_bias  biases */
    mcg_apply_bias(2, 8, 58982, &p->step, a->conv1_w_kept.v, p->conv1_b_change, p->conv1_b);
    /* 22/24 conv1_y_track  scale for the next step */
    mcg_track_scale(255, &a->conv1_y_peak.v, &p->conv1_y_scale, &a->saturated.v);
    /* 23/24 fc1_y_track  scale for the next step */
    mcg_track_scale(127, &a->fc1_y_peak.v, &p->fc1_y_scale, &a->saturated.v);
}

/* Count the step. */
MCG_APART static void tiny_finish(tiny_t *m)
{
    tiny_params_t *const p = &m->params;
    /* 24/24 next_step  count the step */
    mcg_next_step(&p->step);
}

/* Logits of a sample. */
static void tiny_run_predict(tiny_t *m, const int8_t *x)
{
    tiny_forward(m, x);
}

/* One step towards the sample's label. */
static void tiny_run_train_step(tiny_t *m, const int8_t *x, uint32_t label)
{
    tiny_forward(m, x);
    tiny_begin(m);
    tiny_loss(m, label);
    tiny_backward(m, x);
    tiny_finish(m);
}

/* What the functions around the steps call. */
static void tiny_compute(void *m, const int8_t *x) { tiny_run_predict((tiny_t *)m, x); }

/* Apart: what it needs is not on the stack during a step. */
MCG_APART static void tiny_report(const tiny_t *m, tiny_step_t *step)
{
    const mcg_watch_t *const watch = &m->params.watch;
    if (step == NULL) {
        return;
    }
    step->loss = m->arena.loss.v;
    step->rate = m->arena.rate.v;
    step->update_rate = 1.0e+00F;
    step->saturation = (float)(m->arena.saturated.v % MCG_EMPTY_ERROR) / 3.0F;
    step->empty = (float)(m->arena.saturated.v / MCG_EMPTY_ERROR) / 1.0F;
    step->mean_loss = watch->loss;
    step->drift = watch->drift_sum / MCG_DRIFT_LIMIT;
    step->trouble = mcg_trouble(watch, step->loss, TINY_BLIND_LOSS, step->saturation, step->empty);
    step->mean_accuracy = watch->accuracy;
    step->confidence = m->arena.confidence.v;
    step->predicted = m->arena.predicted.v;
}

static void tiny_learn_from(void *m, const int8_t *x, const void *label, void *step)
{
    tiny_run_train_step((tiny_t *)m, x, *(const uint32_t *)label);
    tiny_report((const tiny_t *)m, (tiny_step_t *)step);
}

/* What they know of the model. */
static const mcg_model_t tiny_model = {
    /* fingerprint */ TINY_FINGERPRINT,
    /* input_size */ TINY_INPUT_SIZE,
    /* input_h */ 4,
    /* input_w */ 4,
    /* input_c */ 1,
    /* input_scale */ TINY_INPUT_SCALE,
    /* input_zero */ TINY_INPUT_ZERO,
    /* output_size */ TINY_OUTPUT_SIZE,
    /* label_kind */ MCG_LABEL_CLASS,
    /* label_scale */ 1.0e+00F,
    /* label_zero */ 0,
    /* output_zero */ 0,
    /* output_real */ false,
    /* output */ 276U,
    /* output_scale */ NULL,
    /* output_scale_place */ 48U,
    /* replay_classes */ 3,
    /* slot_words */ 6,
    /* params */ 4U,
    /* params_size */ TINY_PARAMS_SIZE,
    /* schedule */ 52U,
    /* watch */ 88U,
    /* step */ 84U,
    /* forward */ tiny_compute,
    /* train */ tiny_learn_from,
    /* train_soft */ NULL,
    /* augment */ NULL,
};

/* ---- interface ------------------------------------------------------------------------------------------- */

const char *tiny_info(void)
{
    return "tiny.onnx sha256 " TINY_MODEL_SHA256 " mcugrad " TINY_MCUGRAD_VERSION;
}

mcg_status_t tiny_init(tiny_t *m)
{
    if (m == NULL) {
        return MCG_ERR_NULL;
    }
    m->params = tiny_initial;
    m->ready = TINY_FINGERPRINT;
    return MCG_OK;
}

mcg_status_t tiny_check(const tiny_t *m)
{
    if (m == NULL) {
        return MCG_ERR_NULL;
    }
    if (m->ready != TINY_FINGERPRINT) {
        return MCG_ERR_STATE;
    }
    {
        const tiny_params_t *const p = &m->params;
        uint32_t wrong = 0U;
        mcg_check_f32(2, 7.523164e-37F, 1.0737418e+09F, p->conv1_w_scale, &wrong);
        mcg_check_f32(2, -1.0737418e+09F, 1.0737418e+09F, p->conv1_b, &wrong);
        mcg_check_f32(1, 7.523164e-37F, 1.0737418e+09F, &p->conv1_y_scale, &wrong);
        mcg_check_f32(3, 7.523164e-37F, 1.0737418e+09F, p->fc1_w_scale, &wrong);
        mcg_check_f32(3, -1.0737418e+09F, 1.0737418e+09F, p->fc1_b, &wrong);
        mcg_check_f32(1, 7.523164e-37F, 1.0737418e+09F, &p->fc1_y_scale, &wrong);
        mcg_check_schedule(&p->schedule, &wrong);
        mcg_check_watch(&p->watch, &wrong);
        mcg_check_f32(1, 7.523164e-37F, 1.0737418e+09F, &p->flatten1_y_e_range, &wrong);
        mcg_check_f32(2, -1.0737418e+09F, 1.0737418e+09F, p->conv1_b_change, &wrong);
        mcg_check_f32(2, 7.523164e-37F, 1.0737418e+09F, p->conv1_w_change_scale, &wrong);
        mcg_check_s8(8, -127, p->conv1_w, &wrong);
        mcg_check_s8(54, -127, p->fc1_w, &wrong);
        mcg_check_s8(8, -127, p->conv1_w_change, &wrong);
        return wrong == 0U ? MCG_OK : MCG_ERR_DAMAGED;
    }
}

mcg_status_t tiny_predict(tiny_t *m, const int8_t x[TINY_INPUT_SIZE], int8_t y[TINY_OUTPUT_SIZE])
{
    return mcg_predict(&tiny_model, m, x, y);
}

mcg_status_t tiny_quantize(const float real[TINY_INPUT_SIZE], int8_t x[TINY_INPUT_SIZE])
{
    return mcg_quantize(&tiny_model, real, x);
}

mcg_status_t tiny_train_step(tiny_t *m, const int8_t x[TINY_INPUT_SIZE], uint32_t label, tiny_step_t *step)
{
    return mcg_train_step(&tiny_model, m, x, &label, step);
}

mcg_status_t tiny_set_rate(tiny_t *m, float rate)
{
    return mcg_set_rate(&tiny_model, m, rate);
}

mcg_status_t tiny_set_schedule(tiny_t *m, const mcg_schedule_t *schedule)
{
    return mcg_set_schedule(&tiny_model, m, schedule);
}

#if MCG_GCC
#if __GNUC__ >= 7
#pragma GCC diagnostic pop
#endif
#pragma GCC pop_options
#endif
