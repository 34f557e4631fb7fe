/* SPDX-License-Identifier: Apache-2.0 */
/* The inline functions of mcg_math.h for tests, on arrays. */
#include "mcugrad/mcg_all.h"

/* What is static there, by itself. */
#define mcg_output_s8 probe_output_s8
#include "../../src/mcugrad/runtime/src/core/mcg_output_s8.c"

void probe_scale_from_float(int32_t count, const float *factor, mcg_scale_t *scale);
void probe_rescale(int32_t count, const int32_t *acc, const mcg_scale_t *scale, int32_t *result);
void probe_factor(int32_t count, const float *factor, float *result);
void probe_rescale_output(int32_t count, const int32_t *acc, const float *factor, int32_t *result);
void probe_rescale_by_long(int32_t count, const int32_t *acc, const float *factor, int32_t *result);
void probe_rescale_by_short(int32_t count, const int32_t *acc, const float *factor, int32_t *result);
void probe_round(int32_t count, const float *value, int32_t limit, int32_t *result);
void probe_hash(int32_t count, const uint32_t *x, uint32_t *result);
void probe_stream(uint32_t seed, uint32_t step, uint32_t tensor, uint32_t *result);
void probe_sqrt(int32_t count, const float *value, float *result);
void probe_decay(int32_t count, const float *range, const float *fill, float rate, float *result);
void probe_forward_s8(void *m, const int8_t *x);
void probe_forward_f32(void *m, const int8_t *x);
void probe_train(void *m, const int8_t *x, const void *label, void *step);
void probe_train_soft(void *m, const int8_t *x, const uint8_t *soft, void *step);
mcg_status_t probe_augment(mcg_augment_t *how, const int8_t *x, int8_t *y);
void probe_reverse(void *m, const int8_t *x, int8_t *latents);

void probe_scale_from_float(int32_t count, const float *factor, mcg_scale_t *scale)
{
    for (int32_t i = 0; i < count; i++) {
        scale[i] = mcg_scale_from_float(factor[i]);
    }
}

void probe_rescale(int32_t count, const int32_t *acc, const mcg_scale_t *scale, int32_t *result)
{
    for (int32_t i = 0; i < count; i++) {
        result[i] = mcg_rescale(acc[i], scale[i]);
    }
}

void probe_factor(int32_t count, const float *factor, float *result)
{
    for (int32_t i = 0; i < count; i++) {
        result[i] = mcg_factor(factor[i]);
    }
}

void probe_rescale_output(int32_t count, const int32_t *acc, const float *factor, int32_t *result)
{
    for (int32_t i = 0; i < count; i++) {
        result[i] = mcg_rescale_output(acc[i], factor[i]);
    }
}

void probe_rescale_by_long(int32_t count, const int32_t *acc, const float *factor, int32_t *result)
{
    for (int32_t i = 0; i < count; i++) {
        result[i] = mcg_rescale_by_long(acc[i], factor[i]);
    }
}

void probe_rescale_by_short(int32_t count, const int32_t *acc, const float *factor, int32_t *result)
{
    for (int32_t i = 0; i < count; i++) {
        result[i] = mcg_rescale_by_short(acc[i], factor[i]);
    }
}

void probe_round(int32_t count, const float *value, int32_t limit, int32_t *result)
{
    for (int32_t i = 0; i < count; i++) {
        result[i] = mcg_round(value[i], limit);
    }
}

void probe_hash(int32_t count, const uint32_t *x, uint32_t *result)
{
    for (int32_t i = 0; i < count; i++) {
        result[i] = mcg_hash(x[i]);
    }
}

void probe_stream(uint32_t seed, uint32_t step, uint32_t tensor, uint32_t *result)
{
    *result = mcg_stream(seed, step, tensor);
}

void probe_sqrt(int32_t count, const float *value, float *result)
{
    for (int32_t i = 0; i < count; i++) {
        result[i] = mcg_sqrt(value[i]);
    }
}

void probe_decay(int32_t count, const float *range, const float *fill, float rate, float *result)
{
    for (int32_t i = 0; i < count; i++) {
        result[i] = mcg_decay(range[i], fill[i], rate);
    }
}

/* A model for the functions around one: life_model.py computes the same. */
typedef struct {
    uint32_t ready;
    mcg_schedule_t schedule;
    mcg_watch_t watch;
    uint32_t step;
    float scale;
    uint8_t weights[8];
    union {
        int8_t s8[8];
        float f32[8];
    } y;
} probe_model_t;

static int8_t probe_output(const probe_model_t *model, const int8_t *x, int32_t i)
{
    return (int8_t)(uint8_t)(x[0] * (i + 1) + x[5] + model->weights[i]);
}

void probe_forward_s8(void *m, const int8_t *x)
{
    probe_model_t *const model = (probe_model_t *)m;
    for (int32_t i = 0; i < 8; i++) {
        model->y.s8[i] = probe_output(model, x, i);
    }
}

void probe_forward_f32(void *m, const int8_t *x)
{
    probe_model_t *const model = (probe_model_t *)m;
    for (int32_t i = 0; i < 8; i++) {
        model->y.f32[i] = (float)probe_output(model, x, i) * 0.5F;
    }
    if (x[0] == 127) {
        model->y.f32[0] = mcg_bits_float(0x7fc00000U);
    }
}

static void probe_learn(probe_model_t *model, const int8_t *x, int32_t amount, void *step)
{
    for (int32_t i = 0; i < 8; i++) {
        model->weights[i] = (uint8_t)(model->weights[i] + x[i % 6] + amount);
    }
    model->watch.seen += 1U;
    model->step += 1U;
    if (step != NULL) {
        *(float *)step = (float)model->weights[0];
    }
}

void probe_train(void *m, const int8_t *x, const void *label, void *step)
{
    probe_learn((probe_model_t *)m, x, *(const uint8_t *)label, step);
}

void probe_train_soft(void *m, const int8_t *x, const uint8_t *soft, void *step)
{
    probe_learn((probe_model_t *)m, x, soft[0] * 3 & 0xff, step);
}

void probe_reverse(void *m, const int8_t *x, int8_t *latents)
{
    (void)m;
    for (int32_t i = 0; i < 6; i++) {
        latents[i] = (int8_t)(uint8_t)(x[5 - i] + 1);
    }
}

mcg_status_t probe_augment(mcg_augment_t *how, const int8_t *x, int8_t *y)
{
    if (y == NULL) {
        return MCG_ERR_NULL;
    }
    if (how->gain < 0) {
        return MCG_ERR_ARG;
    }
    for (int32_t i = 0; i < 6; i++) {
        y[i] = (int8_t)(uint8_t)((uint32_t)x[i] + how->count);
    }
    how->count += 1U;
    return MCG_OK;
}
