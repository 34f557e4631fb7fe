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
    /* schedule */ {0U, 0U, 0U, 0U, 1U, 1.0e-02F, 0.0e+00F, 1.0e+00F},
    /* step */ 0U,
    /* watch */ {0U, 0.0e+00F, 0.0e+00F, 0.0e+00F, 0.0e+00F},
    /* flatten1_y_e_range */ 1.0e+00F,
    /* seed */ 0U,
    /* conv1_w */ {
        35, -60, -120, -127, 96, 127, 33, 70
    },
    /* fc1_w */ {
        79, -21, -127, -120, 89, -96, -117, 45, 58, 38, -82, 31, 93, -31, 10, 127, -51, 124, 56, 115, 44, 127,
        56, -44, -32, 20, -107, -52, 64, 28, 8, -48, -56, -32, -4, 115, -77, -100, 35, -15, -119, 85, 96, -77,
        81, -127, -73, -27, 108, -85, -127, -115, -46, 23
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
MCG_STATIC_ASSERT(offsetof(tiny_t, params.conv1_w) == 116, "conv1_w moved");
MCG_STATIC_ASSERT(offsetof(tiny_t, params.fc1_w) == 124, "fc1_w moved");

/* ---- steps ----------------------------------------------------------------------------------------------- */

/* From the sample to the logits. */
MCG_APART static void tiny_forward(tiny_t *m, const int8_t *x)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    /* 1/20 conv1  factors and biases */
    mcg_prepare_s8(2, &tiny_input_scale, p->conv1_w_scale, p->conv1_b, &p->conv1_y_scale, a->conv1_scale.v,
                   a->conv1_bias.v);
    /* 2/20 conv1  conv 2x2 relu  4x4x1 -> 3x3x2 */
    mcg_conv2d_s8(&tiny_conv1_layer, x, p->conv1_w, NULL, a->conv1_bias.v, a->conv1_scale.v, tiny_clip_relu,
                  a->conv1_y.v, &a->conv1_y_peak.v, a->conv1_patch.v, 256, a->conv1_scratch.v);
    /* 3/20 fc1  factors and biases */
    mcg_prepare_s8(3, &p->conv1_y_scale, p->fc1_w_scale, p->fc1_b, &p->fc1_y_scale, a->fc1_scale.v,
                   a->fc1_bias.v);
    /* 4/20 fc1  linear  18 -> 3 */
    mcg_linear_s8(&tiny_fc1_layer, a->conv1_y.v, p->fc1_w, NULL, a->fc1_bias.v, a->fc1_scale.v,
                  tiny_clip_none, a->fc1_y.v, &a->fc1_y_peak.v, 0, NULL);
}

/* Learning rate of the step. */
MCG_APART static void tiny_begin(tiny_t *m)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    /* 5/20 begin_step  learning rate */
    mcg_begin_step(&p->schedule, &p->step, &a->rate.v, &a->saturated.v);
}

/* Loss, error of the logits, and how training goes. */
MCG_APART static void tiny_loss(tiny_t *m, uint32_t label)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    /* 6/20 loss  softmax cross-entropy  3 classes */
    mcg_softmax_cross_entropy_s8(3, 3, 0, a->fc1_y.v, &p->fc1_y_scale, label, &tiny_smoothing, p->fc1_w_scale,
                                 tiny_clip_none, a->fc1_y_e.v, a->fc1_y_e_c.v, &a->loss.v, &a->confidence.v,
                                 a->probability.v);
    /* 7/20 watch  prediction */
    mcg_argmax_s8(3, a->fc1_y.v, &a->predicted.v);
    /* 8/20 watch  running loss and accuracy */
    mcg_watch_class(label, &a->predicted.v, &a->loss.v, &p->watch);
}

/* The same towards a distribution. */
MCG_APART static void tiny_soft_loss(tiny_t *m, const uint8_t *soft)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    /* 6/20 soft_loss  soft cross-entropy  3 classes */
    mcg_soft_cross_entropy_s8(3, 3, 0, a->fc1_y.v, &p->fc1_y_scale, soft, p->fc1_w_scale, tiny_clip_none,
                              a->fc1_y_e.v, a->fc1_y_e_c.v, &a->loss.v, &a->confidence.v, NULL,
                              a->probability.v);
    /* 7/20 soft_loss  prediction */
    mcg_argmax_s8(3, a->fc1_y.v, &a->predicted.v);
}

/* Errors down through the layers, and what is learned from them. */
MCG_APART static void tiny_backward(tiny_t *m, const int8_t *x)
{
    tiny_params_t *const p = &m->params;
    tiny_arena_t *const a = &m->arena;
    /* 9/20 fc1_grad_input  factors */
    mcg_prepare_error(2, &p->flatten1_y_e_range, a->fc1_y_e_c.v, p->conv1_w_scale, a->flatten1_y_e_factor.v);
    /* 10/20 fc1_grad_input  error of flatten1_y */
    mcg_linear_grad_input_s8(&tiny_fc1_grad_input_layer, a->fc1_y_e.v, NULL, p->fc1_w, NULL, a->conv1_y.v,
                             a->flatten1_y_e_factor.v, tiny_clip_relu, a->flatten1_y_e.v,
                             &a->flatten1_y_e_peak.v);
    /* 11/20 fc1_bias_update  biases */
    mcg_bias_update(1, 3, a->fc1_y_e.v, NULL, NULL, &a->rate.v, a->fc1_y_e_c.v, p->fc1_w_scale, p->fc1_b);
    /* 12/20 fc1_update  factors */
    mcg_prepare_update(3, NULL, NULL, &a->rate.v, a->fc1_y_e_c.v, &p->conv1_y_scale, p->fc1_w_scale,
                       p->fc1_w_scale, a->fc1_update_factor.v);
    /* 13/20 fc1_update  weights by sr8 */
    mcg_linear_update(&tiny_fc1_layer, a->conv1_y.v, a->fc1_y_e.v, NULL, a->fc1_update_factor.v,
                      &mcg_rule_sr8, &p->seed, &p->step, 32U, p->fc1_w, NULL, p->fc1_w_scale);
    /* 14/20 fc1_grad_input  unit, fill and range */
    mcg_track_error(0, &a->flatten1_y_e_peak.v, a->fc1_y_e_c.v, &p->flatten1_y_e_range, a->flatten1_y_e_c.v,
                    &a->saturated.v);
    /* 15/20 conv1_bias_update  biases */
    mcg_bias_update(9, 2, a->flatten1_y_e.v, NULL, NULL, &a->rate.v, a->flatten1_y_e_c.v, p->conv1_w_scale,
                    p->conv1_b);
    /* 16/20 conv1_update  factors */
    mcg_prepare_update(2, NULL, NULL, &a->rate.v, a->flatten1_y_e_c.v, &tiny_input_scale, p->conv1_w_scale,
                       p->conv1_w_scale, a->conv1_update_factor.v);
    /* 17/20 conv1_update  weights by sr8 */
    mcg_conv2d_update(&tiny_conv1_layer, x, a->flatten1_y_e.v, NULL, a->conv1_update_factor.v, &mcg_rule_sr8,
                      &p->seed, &p->step, 16U, 2, p->conv1_w, NULL, p->conv1_w_scale, a->conv1_gradient.v,
                      a->conv1_patch2.v, 336, a->conv1_update_scratch.v);
    /* 18/20 conv1_y_track  scale for the next step */
    mcg_track_scale(255, &a->conv1_y_peak.v, &p->conv1_y_scale, &a->saturated.v);
    /* 19/20 fc1_y_track  scale for the next step */
    mcg_track_scale(127, &a->fc1_y_peak.v, &p->fc1_y_scale, &a->saturated.v);
}

/* Count the step. */
MCG_APART static void tiny_finish(tiny_t *m)
{
    tiny_params_t *const p = &m->params;
    /* 20/20 next_step  count the step */
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

/* One step towards a distribution. */
static void tiny_run_train_soft(tiny_t *m, const int8_t *x, const uint8_t *soft)
{
    tiny_forward(m, x);
    tiny_begin(m);
    tiny_soft_loss(m, soft);
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

static void tiny_learn_soft(void *m, const int8_t *x, const uint8_t *soft, void *step)
{
    tiny_run_train_soft((tiny_t *)m, x, soft);
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
    /* output */ 224U,
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
    /* train_soft */ tiny_learn_soft,
    /* augment */ tiny_augment,
};

MCG_STATIC_ASSERT(offsetof(tiny_snapshot_t, error) == MCG_SNAPSHOT_ERROR, "a snapshot is laid out differently");
MCG_STATIC_ASSERT(offsetof(tiny_snapshot_t, params) == MCG_SNAPSHOT_PARAMS, "a snapshot is laid out differently");

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
        mcg_check_s8(8, -127, p->conv1_w, &wrong);
        mcg_check_s8(54, -127, p->fc1_w, &wrong);
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

mcg_status_t tiny_adc_init(mcg_adc_t *how, float unit, int32_t middle)
{
    return mcg_adc_init(&tiny_model, how, unit, middle);
}

mcg_status_t tiny_quantize_s16(const mcg_adc_t *how, const int16_t raw[TINY_INPUT_SIZE],
                               int8_t x[TINY_INPUT_SIZE])
{
    return mcg_adc_s16(&tiny_model, how, raw, x);
}

mcg_status_t tiny_quantize_u16(const mcg_adc_t *how, const uint16_t raw[TINY_INPUT_SIZE],
                               int8_t x[TINY_INPUT_SIZE])
{
    return mcg_adc_u16(&tiny_model, how, raw, x);
}

mcg_status_t tiny_watch(const tiny_t *m, const int8_t y[TINY_OUTPUT_SIZE], mcg_drift_t *drift)
{
    return mcg_watch(&tiny_model, m, y, drift);
}

mcg_status_t tiny_train_step(tiny_t *m, const int8_t x[TINY_INPUT_SIZE], uint32_t label, tiny_step_t *step)
{
    return mcg_train_step(&tiny_model, m, x, &label, step);
}

mcg_status_t tiny_train_soft(tiny_t *m, const int8_t x[TINY_INPUT_SIZE], const uint8_t soft[TINY_OUTPUT_SIZE],
                             tiny_step_t *step)
{
    return mcg_train_soft(&tiny_model, m, x, soft, step);
}

mcg_status_t tiny_set_rate(tiny_t *m, float rate)
{
    return mcg_set_rate(&tiny_model, m, rate);
}

mcg_status_t tiny_set_schedule(tiny_t *m, const mcg_schedule_t *schedule)
{
    return mcg_set_schedule(&tiny_model, m, schedule);
}

mcg_status_t tiny_augment_init(mcg_augment_t *how, int32_t shift_h, int32_t shift_w, float gain, float offset,
                               float noise, uint32_t seed)
{
    return mcg_augment_init(&tiny_model, how, shift_h, shift_w, gain, offset, noise, seed);
}

mcg_status_t tiny_augment(mcg_augment_t *how, const int8_t x[TINY_INPUT_SIZE], int8_t y[TINY_INPUT_SIZE])
{
    return mcg_augment(&tiny_model, how, x, y);
}

mcg_status_t tiny_snapshot(const tiny_t *m, tiny_snapshot_t *snapshot)
{
    return mcg_snapshot(&tiny_model, m, snapshot);
}

mcg_status_t tiny_rollback(tiny_t *m, const tiny_snapshot_t *snapshot)
{
    return mcg_rollback(&tiny_model, m, snapshot);
}

mcg_status_t tiny_guard(tiny_t *m, tiny_snapshot_t *snapshot, const int8_t *x, const uint32_t *labels,
                        uint32_t samples, float margin, mcg_guard_t *result)
{
    return mcg_guard(&tiny_model, m, snapshot, x, labels, samples, margin, result);
}

mcg_status_t tiny_replay_init(tiny_replay_t *replay, uint32_t *memory, uint32_t words, uint32_t seed)
{
    return mcg_replay_init(&tiny_model, replay, memory, words, seed);
}

mcg_status_t tiny_replay_add(tiny_replay_t *replay, const int8_t x[TINY_INPUT_SIZE], uint32_t label)
{
    return mcg_replay_add(&tiny_model, replay, x, &label);
}

mcg_status_t tiny_replay_remember(tiny_t *m, tiny_replay_t *replay)
{
    return mcg_replay_remember(&tiny_model, m, replay);
}

mcg_status_t tiny_train_replay(tiny_t *m, tiny_replay_t *replay, const int8_t x[TINY_INPUT_SIZE],
                               uint32_t label, tiny_step_t *step)
{
    return mcg_train_replay(&tiny_model, m, replay, x, &label, step);
}

mcg_status_t tiny_replay_draw(tiny_replay_t *replay, const int8_t **x, uint32_t *label)
{
    uint32_t place = 0;
    const mcg_status_t status = x == NULL || label == NULL ? MCG_ERR_NULL : mcg_replay_draw(&tiny_model, replay, &place);
    if (status == MCG_OK) {
        const uint8_t *const bytes = mcg_slot(&tiny_model, replay, place);
        *x = (const int8_t *)bytes;
        *label = replay->memory[place * 6U];
    }
    return status;
}

#if MCG_GCC
#if __GNUC__ >= 7
#pragma GCC diagnostic pop
#endif
#pragma GCC pop_options
#endif
