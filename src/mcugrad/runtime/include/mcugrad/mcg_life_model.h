/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes on around the steps of a model, whatever the model: these functions see it through a constant
 * that says its sizes, its places and what computes. In a generated file the constant is known, so that
 * compilers call directly and drop what the model has no use for. They check what they are given; on error
 * nothing changes.
 */
#ifndef MCG_LIFE_MODEL_H
#define MCG_LIFE_MODEL_H

#include "mcg_structs.h"

/** What a sample is labelled with. */
typedef enum {
    MCG_LABEL_CLASS = 0, /* one uint32_t */
    MCG_LABEL_BITS = 1,  /* a uint8_t for each output, 0 or not */
    MCG_LABEL_VALUES = 2 /* an int8_t for each output */
} mcg_label_kind_t;

/**
 * A model. Places are bytes from its beginning, where the word lies that says whether it is initialised;
 * those of what a model for inference only does not have are 0, and so are its functions.
 */
typedef struct {
    uint32_t fingerprint;        /* that word, also at the beginning of a snapshot and a replay buffer */
    int32_t input_size;          /* int8_t of a sample */
    int32_t output_size;         /* logits */
    int32_t label_kind;          /* an mcg_label_kind_t */
    float label_scale;           /* of labels that are values */
    int32_t label_zero;          /* their zero point */
    int32_t output_zero;         /* zero point of the logits; 0 for float ones */
    bool output_real;            /* whether logits are floats */
    uint32_t output;             /* place of the logits */
    const float *output_scale;   /* of the logits; NULL where it is learned, and for floats */
    uint32_t output_scale_place; /* its place where it is learned */
    uint32_t params;             /* place of what is learned */
    uint32_t params_size;        /* bytes of it */
    uint32_t schedule;           /* place of the mcg_schedule_t in it */
    uint32_t watch;              /* place of the mcg_watch_t */
    uint32_t step;               /* place of the uint32_t that counts steps */
    /** Compute the logits of a sample. */
    void (*forward)(void *m, const int8_t *x);
} mcg_model_t;

/** What lies at a place of a model, or of something else. */
static inline void *mcg_at(void *m, uint32_t place) { return (uint8_t *)m + place; }

/** The same of what is only read. */
static inline const void *mcg_look(const void *m, uint32_t place) { return (const uint8_t *)m + place; }

/** Whether a model is initialised, or what belongs to one belongs to this one. */
static inline bool mcg_is_of(const mcg_model_t *model, const void *owned)
{
    return *(const uint32_t *)owned == model->fingerprint;
}

/** Whether a label is one of the model's; bits and values always are. */
static inline bool mcg_label_is_valid(const mcg_model_t *model, const void *label)
{
    return model->label_kind != MCG_LABEL_CLASS || *(const uint32_t *)label < (uint32_t)model->output_size;
}

/** The label of a sample, one of many. */
static inline const void *mcg_label_of(const mcg_model_t *model, const void *labels, uint32_t sample)
{
    return model->label_kind == MCG_LABEL_CLASS
               ? (const void *)((const uint32_t *)labels + sample)
               : (const void *)((const uint8_t *)labels + (size_t)sample * (size_t)model->output_size);
}

/** The scale of logits that are no floats. */
static inline float mcg_output_scale(const mcg_model_t *model, const void *m)
{
    return model->output_scale != NULL ? *model->output_scale
                                       : *(const float *)mcg_look(m, model->output_scale_place);
}

/** Copy bytes that do not overlap. */
static inline void mcg_copy(uint32_t count, const void *from, void *to)
{
    for (uint32_t i = 0; i < count; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
}

/** In a snapshot, behind the word that says of which model: its error on a guard set, and what was learned.
 */
#define MCG_SNAPSHOT_ERROR 4U
#define MCG_SNAPSHOT_PARAMS 8U

/** An error on a guard set that is not known, or no number: as large as one can be. */
#define MCG_WORST 3.0e38F

/**
 * @brief Keep the state of a model as the one to come back to. Its error is not known.
 *
 * @param[in]  model    what it is
 * @param[in]  m        its memory
 * @param[out] snapshot of that model
 * @return MCG_ERR_NULL, or MCG_ERR_STATE for a model that is not initialised
 *
 * Reference: ops/life/guard.py::keep.
 */
mcg_status_t mcg_snapshot(const mcg_model_t *model, const void *m, void *snapshot);

/**
 * @brief Come back to the state kept. Schedule, running means and step counter go on.
 *
 * @param[in]     model    what it is
 * @param[in,out] m        its memory
 * @param[in]     snapshot of that model
 * @return MCG_ERR_NULL, or MCG_ERR_STATE for a model or a snapshot that holds none
 *
 * Reference: ops/life/guard.py::rollback.
 */
mcg_status_t mcg_rollback(const mcg_model_t *model, void *m, const void *snapshot);

/**
 * @brief Error of one sample, summed over its outputs: 1 for each class or bit that is wrong, squares of
 * differences between values in real units.
 *
 * @param[in]     model what it is
 * @param[in,out] m     its memory; nothing that was learned changes
 * @param[in]     x     [input_size]
 * @param[in]     label what its outputs should be
 * @param[out]    error of the sample
 *
 * Reference: ops/life/guard.py::guard_error.
 */
void mcg_guard_error(const mcg_model_t *model, void *m, const int8_t *x, const void *label, float *error);

/**
 * @brief Test a model; keep its state if none was better so far, come back to the best if it is worse by more
 * than the margin.
 *
 * @param[in]     model    what it is
 * @param[in,out] m        its memory
 * @param[in,out] snapshot the best state so far; of no model or another one: none yet
 * @param[in]     x        [samples][input_size]
 * @param[in]     labels   of the samples
 * @param[in]     samples  at least 1
 * @param[in]     margin   finite, not below 0
 * @param[out]    result   what was found, or NULL
 * @return MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_ARG, or MCG_ERR_LABEL
 *
 * Reference: ops/life/guard.py::guard.
 */
mcg_status_t mcg_guard(const mcg_model_t *model, void *m, void *snapshot, const int8_t *x, const void *labels,
                       uint32_t samples, float margin, mcg_guard_t *result);

#endif /* MCG_LIFE_MODEL_H */
