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
