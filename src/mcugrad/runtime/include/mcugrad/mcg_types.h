/* SPDX-License-Identifier: Apache-2.0 */
/* Types and small exact helpers that every kernel shares. Freestanding C11; valid C++17 too. */
#ifndef MCG_TYPES_H
#define MCG_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mcg_build.h"

#ifndef MCG_STATUS_DEFINED
#define MCG_STATUS_DEFINED
/** Every status, once: name, value, text. The enum and the texts cannot drift apart. */
#define MCG_STATUS_LIST(X)                                                        \
    X(MCG_OK, 0, "ok")                                                            \
    X(MCG_ERR_NULL, -1, "a pointer that must not be null is null")                \
    X(MCG_ERR_LABEL, -2, "the label is not below the number of classes")          \
    X(MCG_ERR_STATE, -3, "not initialised, or of another model")                  \
    X(MCG_ERR_RATE, -4, "the learning rate is negative or not finite")            \
    X(MCG_ERR_ARG, -5, "an argument is outside its documented range")             \
    X(MCG_ERR_EMPTY, -6, "there is nothing to draw from yet")                     \
    X(MCG_ERR_DAMAGED, -7, "a learned number is not finite or outside its range") \
    X(MCG_ERR_SELFTEST, -8,                                                       \
      "the self-test gave another hash: compiler or flags are not right, or flash is damaged")
#define MCG_STATUS_ENUM(name, value, text) name = (value),
typedef enum { MCG_STATUS_LIST(MCG_STATUS_ENUM) } mcg_status_t;
#undef MCG_STATUS_ENUM
#endif /* MCG_STATUS_DEFINED */

#ifndef MCG_LIFE_DEFINED
#define MCG_LIFE_DEFINED
/** How a learning rate runs after its warm-up. */
typedef enum {
    MCG_SCHEDULE_CONSTANT = 0, /* stays at rate */
    MCG_SCHEDULE_COSINE = 1,   /* half a cosine from rate to last */
    MCG_SCHEDULE_LINEAR = 2,   /* a straight line from rate to last */
    MCG_SCHEDULE_STEPS = 3     /* times factor after every `every` steps, not below last */
} mcg_schedule_kind_t;

/** A learning rate as a function of the training step; what a kind does not use may hold anything. */
typedef struct {
    uint32_t kind;   /* an mcg_schedule_kind_t */
    uint32_t start;  /* step at which it begins: set when it is handed over */
    uint32_t warmup; /* steps over which the rate rises from 0 in a straight line; 0 for none */
    uint32_t steps;  /* cosine, linear: length, the warm-up included and longer than it */
    uint32_t every;  /* steps: at least 1 */
    float rate;      /* after the warm-up; finite, not negative */
    float last;      /* cosine, linear, steps: at the end; finite, not negative */
    float factor;    /* steps: above 0, at most 1 */
} mcg_schedule_t;

/** What a model in training knows about how it is doing. */
typedef struct {
    uint32_t seen;    /* steps it knows of, at most MCG_DRIFT_HORIZON */
    float loss;       /* running mean */
    float accuracy;   /* running share of right predictions */
    float drift_mean; /* running mean of what is watched for drift */
    float drift_sum;  /* by how much it has been higher of late */
} mcg_watch_t;

/** What looks wrong with a training, in one sum: of its last 256 steps or so, or of its last step. */
typedef enum {
    MCG_TROUBLE_STALLED = 1,  /* running loss at least 90 % of that of one answer */
    MCG_TROUBLE_EXCEEDED = 2, /* the step exceeded a quarter of the tracked ranges or more */
    MCG_TROUBLE_EMPTY = 4 /* errors of the step were all 0 in some layers, or all: these learned nothing */
} mcg_trouble_t;

/** What is known about a stream of predictions without labels. All zero at the beginning. */
typedef struct {
    uint32_t seen;    /* predictions it knows of, at most MCG_DRIFT_HORIZON */
    float mean;       /* running mean of 1 - confidence */
    float sum;        /* by how much it has been higher of late */
    float confidence; /* of the last prediction: probability of the predicted class */
    float drift;      /* 0 in a steady world; from 1 on something has changed; at most 2 */
} mcg_drift_t;

/** What a guard did. */
typedef enum {
    MCG_GUARD_BEST = 1,    /* no state was better so far: it is the one to come back to */
    MCG_GUARD_WITHIN = 2,  /* not the best, but within the margin */
    MCG_GUARD_RESTORED = 3 /* worse by more than the margin: the best state is back */
} mcg_guard_outcome_t;

/** What a guard found. */
typedef struct {
    uint32_t outcome; /* an mcg_guard_outcome_t */
    float error;      /* on the guard set before anything was restored */
    float best;       /* the lowest one so far, this one included */
} mcg_guard_t;

/** Random changes of samples in training. All zero: none. */
typedef struct {
    int32_t shift_h; /* rows, up or down, at most; below the map's height */
    int32_t shift_w; /* columns, left or right, at most; below the map's width */
    int32_t gain;    /* relative, more or less, at most; in 1/65536, from 0 to 65536 */
    int32_t offset;  /* of all values alike, up or down, at most; in 1/256 of a step, from 0 to 65280 */
    int32_t noise; /* of each value for itself, in the same way; its standard deviation is 0.577 times that */
    uint32_t seed; /* random numbers */
    uint32_t count; /* samples changed so far */
} mcg_augment_t;
#endif /* MCG_LIFE_DEFINED */

#ifndef MCG_SCALE_DEFINED
#define MCG_SCALE_DEFINED
/**
 * A positive factor as a 16-bit mantissa and a shift: value = mult * 2^(pre - shift).
 * mult is in [2^15, 2^16) or, for factors below 2^-17, any smaller value with shift 32; 17 <= shift <= 32;
 * pre is zero unless the factor is 0.5 or more. Four bytes, so that a table of them is one word per channel.
 */
typedef struct {
    uint16_t mult;
    uint8_t shift;
    uint8_t pre;
} mcg_scale_t;
#endif /* MCG_SCALE_DEFINED */

#ifndef MCG_ADC_DEFINED
#define MCG_ADC_DEFINED
/** What raw values of a converter mean. */
typedef struct {
    mcg_scale_t scale; /* steps of the input per raw step */
    int32_t middle;    /* the raw value that is 0 in real units */
} mcg_adc_t;
#endif /* MCG_ADC_DEFINED */

#endif /* MCG_TYPES_H */
