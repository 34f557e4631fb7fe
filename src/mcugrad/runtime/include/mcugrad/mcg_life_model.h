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
    int32_t input_h;             /* rows of it, where it is a map; else 1 */
    int32_t input_w;             /* columns, likewise */
    int32_t input_c;             /* channels, or all values */
    float input_scale;           /* real = scale * (q - zero) */
    int32_t input_zero;          /* its zero point */
    int32_t output_size;         /* logits */
    int32_t label_kind;          /* an mcg_label_kind_t */
    float label_scale;           /* of labels that are values */
    int32_t label_zero;          /* their zero point */
    int32_t output_zero;         /* zero point of the logits; 0 for float ones */
    bool output_real;            /* whether logits are floats */
    uint32_t output;             /* place of the logits */
    const float *output_scale;   /* of the logits; NULL where it is learned, and for floats */
    uint32_t output_scale_place; /* its place where it is learned */
    int32_t replay_classes;      /* classes that share a replay buffer; 1 where labels are none */
    int32_t slot_words;          /* words of a sample in it: class, what is kept of it, a byte an output */
    uint32_t params;             /* place of what is learned */
    uint32_t params_size;        /* bytes of it */
    uint32_t schedule;           /* place of the mcg_schedule_t in it */
    uint32_t watch;              /* place of the mcg_watch_t */
    uint32_t step;               /* place of the uint32_t that counts steps */
    /** Compute the logits of a sample. */
    void (*forward)(void *m, const int8_t *x);
    /** Take a training step; write what it reports to `step` unless that is NULL. */
    void (*train)(void *m, const int8_t *x, const void *label, void *step);
    /** The same towards a distribution; NULL where there is no such step. */
    void (*train_soft)(void *m, const int8_t *x, const uint8_t *soft, void *step);
    /** Change a sample at random; NULL where none can be. */
    mcg_status_t (*augment)(mcg_augment_t *how, const int8_t *x, int8_t *y);
} mcg_model_t;

#ifndef MCG_REPLAY_DEFINED
#define MCG_REPLAY_DEFINED
/**
 * A replay buffer. It counts by class, so that a generated file puts its model's own type in the place of
 * this one, which has room for a few: the members are the same.
 */
typedef struct {
    uint32_t ready;    /* the model's fingerprint */
    uint32_t every;    /* a stored sample follows every so many new ones; 0 for none */
    uint32_t collect;  /* whether new samples enter */
    uint32_t capacity; /* samples that it can hold */
    uint32_t count;    /* samples in it */
    uint32_t fresh;    /* new samples trained with it */
    uint32_t added;    /* samples offered */
    uint32_t drawn;    /* samples drawn */
    uint32_t seed;     /* random numbers */
    uint32_t seen[8];  /* samples offered, by class */
    uint32_t held[8];  /* samples in it, by class */
    uint8_t full[8];   /* whether a class has had its share */
    uint32_t *memory;
    mcg_augment_t *augment; /* changes what is trained, or NULL */
    int8_t *scratch;        /* room for a changed sample, or for the latents of a new one */
} mcg_replay_t;
#endif /* MCG_REPLAY_DEFINED */

#ifndef MCG_REST_DEFINED
#define MCG_REST_DEFINED
/** What follows the frozen layers of a model, whose replay buffers hold latents: what those make of samples.
 */
typedef struct {
    mcg_model_t model; /* its samples are latents; all else is that of the whole */
    /** Compute the latents of a sample of the whole. */
    void (*latents)(void *m, const int8_t *x, int8_t *latents);
} mcg_rest_t;
#endif /* MCG_REST_DEFINED */

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

/** Whether a step with a replay buffer can be taken: all is there and the model's, the label one of its. */
static inline mcg_status_t mcg_replay_status(const mcg_model_t *model, const void *m,
                                             const mcg_replay_t *replay, const int8_t *x, const void *label)
{
    if (m == NULL || replay == NULL || x == NULL || label == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(model, m) || !mcg_is_of(model, replay)) {
        return MCG_ERR_STATE;
    }
    return mcg_label_is_valid(model, label) ? MCG_OK : MCG_ERR_LABEL;
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

/** Whether there is any class in a soft label. */
static inline bool mcg_is_soft(const mcg_model_t *model, const uint8_t *soft)
{
    for (int32_t i = 0; i < model->output_size; i++) {
        if (soft[i] != 0U) {
            return true;
        }
    }
    return false;
}

/** Bytes of a stored sample, those of its label behind them. */
static inline uint8_t *mcg_slot(const mcg_model_t *model, const mcg_replay_t *replay, uint32_t place)
{
    return (uint8_t *)(replay->memory + place * (uint32_t)model->slot_words + 1);
}

/** Whether samples can change like that. */
static inline bool mcg_can_augment(const mcg_model_t *model, const mcg_augment_t *how)
{
    return how->shift_h >= 0 && how->shift_h < mcg_min(model->input_h, 32768) && how->shift_w >= 0 &&
           how->shift_w < mcg_min(model->input_w, 32768) && how->gain >= 0 && how->gain <= 65536 &&
           how->offset >= 0 && how->offset <= 65280 && how->noise >= 0 && how->noise <= 65280;
}

/** Whether mcg_adc_init has been here. */
static inline bool mcg_is_adc(const mcg_adc_t *how)
{
    return how->scale.shift >= 17U && how->scale.shift <= 32U && how->scale.pre <= 13U &&
           how->middle >= -65536 && how->middle <= 65536;
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

#endif /* MCG_LIFE_MODEL_H */
