/* SPDX-License-Identifier: Apache-2.0 AND LicenseRef-tiny */
/*
 * tiny.h - tiny.onnx with on-device training. Generated: do not edit.
 *   from    tiny.onnx  sha256 <digest>
 *   by      mcugrad <version>
 *   needs   RAM 668 B (tiny_t)   constants 257 B of flash   no heap, no libc
 *   trains  conv1 (sr12, batch 8, momentum 0.9, weight decay 0.001, clip 0.02, int16 plane), fc1 (sr10, in place)
 *   begins  as delivered, nothing trained yet
 */
/*
 * Calls on different models may overlap in any way: tasks, interrupts, cores. Calls on one model must not: they share its arena
 * and take no lock; a prediction in the middle of a training step makes that step learn what is wrong. Only snapshot and check
 * may run beside a prediction. README.md says more.
 */
#ifndef TINY_H
#define TINY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

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

#define TINY_INPUT_SIZE 16 /* int8, [4][4][1]; real = scale * (q - zero) */
#define TINY_INPUT_SCALE 7.843138e-03F
#define TINY_INPUT_ZERO (-1)
#define TINY_OUTPUT_SIZE 3 /* int8 logits; real = scale * (q - zero) */
/* As the model begins; training lets the scale grow: it is params.fc1_y_scale. */
#define TINY_OUTPUT_SCALE 1.7612955e-02F
#define TINY_OUTPUT_ZERO (0)
#define TINY_BLIND_LOSS 1.0986123e+00F /* loss of the same answer to every sample, if all are as frequent */
#define TINY_MODEL_SHA256 "<whole digest>" /* of tiny.onnx */
#define TINY_MCUGRAD_VERSION "<version>"
#define TINY_RAM_SIZE 668 /* bytes of tiny_t */
#define TINY_PARAMS_SIZE 228 /* of them what was learned */
#define TINY_FINGERPRINT 0x020dd739U /* of the model: what is learned fits one with the same alone */

/** What training changes: exactly what a checkpoint has to hold. */
typedef struct {
    float conv1_w_scale[2]; /* real units per step, per channel */
    float conv1_b[2]; /* bias, real units */
    float conv1_y_scale; /* real units per step */
    float fc1_w_scale[3]; /* real units per step, per channel */
    float fc1_b[3]; /* bias, real units */
    float fc1_y_scale; /* real units per step */
    mcg_schedule_t schedule; /* how the learning rate runs */
    uint32_t step; /* training steps so far */
    mcg_watch_t watch; /* how training is going */
    float flatten1_y_e_range; /* range of the error, relative */
    uint32_t seed; /* random numbers */
    float conv1_b_change[2]; /* changes to be made */
    float conv1_w_change_scale[2]; /* real units per step, per channel */
    int8_t conv1_w[8]; /* weights */
    int8_t fc1_w[54]; /* weights */
    uint8_t fc1_w_residual[15]; /* residual bits */
    int8_t conv1_w_change[8]; /* changes to be made */
    uint8_t conv1_w_change_residual[8]; /* residual bits */
    uint8_t conv1_w_residual[4]; /* residual bits */
} tiny_params_t;

/** What one step needs for a while. Members that are never needed at the same time share bytes. */
typedef union {
    uint32_t words[109];
    struct {
        int32_t v[8];
    } conv1_gradient; /* weight gradients of a few rows [2][4] */
    struct {
        float v[2];
    } conv1_w_kept; /* share of each change that is made [2] */
    struct {
        int8_t v[18];
    } conv1_y; /* activation [3][3][2] */
    struct {
        uint8_t before[20];
        int32_t v[2];
    } conv1_bias; /* bias in accumulator units [2] */
    struct {
        uint8_t before[20];
        int32_t v[3];
    } fc1_bias; /* bias in accumulator units [3] */
    struct {
        uint8_t before[20];
        mcg_scale_t v[3];
    } fc1_update_factor; /* gradient to 1/65536 steps, per channel [3] */
    struct {
        uint8_t before[20];
        mcg_scale_t v[2];
    } flatten1_y_e_factor; /* accumulator to error, per channel [2] */
    struct {
        uint8_t before[20];
        float v[3];
    } probability; /* probabilities, then errors [3] */
    struct {
        uint8_t before[28];
        float v[2];
    } conv1_scale; /* accumulator to output, per channel [2] */
    struct {
        uint8_t before[28];
        int32_t v;
    } flatten1_y_e_peak; /* largest magnitude before saturation, steps */
    struct {
        uint8_t before[32];
        float v[3];
    } fc1_scale; /* accumulator to output, per channel [3] */
    struct {
        uint8_t before[32];
        int8_t v[18];
    } flatten1_y_e; /* error [18] */
    struct {
        uint8_t before[36];
        int16_t v[4];
    } conv1_patch; /* a part of the input [4] */
    struct {
        uint8_t before[44];
        int8_t v[3];
    } fc1_y; /* activation [3] */
    struct {
        uint8_t before[52];
        mcg_scale_t v[2];
    } conv1_update_factor; /* gradient to 1/65536 steps, per channel [2] */
    struct {
        uint8_t before[52];
        float v[2];
    } fc1_y_e_c; /* unit of the error, and its fill [2] */
    struct {
        uint8_t before[60];
        int16_t v[4];
    } conv1_patch2; /* a part of the input [4] */
    struct {
        uint8_t before[60];
        float v[2];
    } flatten1_y_e_c; /* unit of the error, and its fill [2] */
    struct {
        uint8_t before[68];
        int32_t v;
    } conv1_y_peak; /* largest magnitude before saturation, steps */
    struct {
        uint8_t before[72];
        uint32_t v[64];
    } conv1_scratch; /* room to be faster [64] */
    struct {
        uint8_t before[72];
        int32_t v;
    } fc1_y_peak; /* largest magnitude before saturation, steps */
    struct {
        uint8_t before[76];
        float v;
    } rate; /* learning rate of the step */
    struct {
        uint8_t before[80];
        int32_t v;
    } saturated; /* tensors that saturated in this step */
    struct {
        uint8_t before[84];
        float v;
    } confidence; /* probability of the predicted class */
    struct {
        uint8_t before[88];
        int8_t v[3];
    } fc1_y_e; /* error [3] */
    struct {
        uint8_t before[88];
        float v;
    } rate_of_8; /* learning rate of one sample of a batch */
    struct {
        uint8_t before[92];
        float v;
    } loss; /* cross-entropy of the sample, nats */
    struct {
        uint8_t before[96];
        uint32_t v;
    } predicted; /* class predicted before the step */
    struct {
        uint8_t before[100];
        uint32_t v[84];
    } conv1_update_scratch; /* room to be faster [84] */
} tiny_arena_t;

/** The model: all the memory it needs. Place it where you like, word-aligned, and pass it to every function. */
typedef struct {
    uint32_t ready; /* TINY_FINGERPRINT, set by tiny_init */
    tiny_params_t params;
    tiny_arena_t arena;
} tiny_t;

/** What a training step reports. */
typedef struct {
    float loss; /* of the sample before the step */
    float rate; /* learning rate of the step */
    float update_rate; /* share of what trains that took part in the step */
    float saturation; /* share of the 3 tracked ranges that were exceeded in this step; they have grown since */
    float empty; /* share of the 1 errors passed down that were all 0: layers below learned nothing in this step */
    float mean_loss; /* running mean of the last 256 steps or so */
    float drift; /* 0 in a steady world; from 1 on predictions are wrong more often than before; at most 2 */
    uint32_t trouble; /* sum of what looks wrong: mcg_trouble_t, 0 for nothing */
    float mean_accuracy; /* running share of the last 256 samples or so that were predicted right */
    float confidence; /* probability of the predicted class */
    uint32_t predicted; /* class predicted before the step */
} tiny_step_t;


/** What was linked: the network's file, its SHA-256, and the version of mcugrad, as one line of text. */
const char *tiny_info(void);

/** Put the model into the state that it begins with: as delivered, nothing trained yet. Call it first. */
mcg_status_t tiny_init(tiny_t *m);

/**
 * Whether the model holds a state that can be used: after a reset that kept its memory, or when `params` have been brought
 * from elsewhere and `ready` says of which model. MCG_ERR_STATE: not initialised, or of another model. MCG_ERR_DAMAGED: a
 * number that is not finite or outside of what training can leave there. What passes may still be another state than
 * was saved: a checksum has to tell.
 */
mcg_status_t tiny_check(const tiny_t *m);

/**
 * @brief Compute the logits of a sample; the class is the index of the largest. Changes nothing that was
 * learned.
 *
 * @param[in,out] m the model's memory
 * @param[in]     x sample, [TINY_INPUT_SIZE]
 * @param[out]    y logits, [TINY_OUTPUT_SIZE]
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_STATE
 */
mcg_status_t tiny_predict(tiny_t *m, const int8_t x[TINY_INPUT_SIZE], int8_t y[TINY_OUTPUT_SIZE]);

/**
 * @brief Quantize a sample from real units.
 *
 * @param[in]  real sample in real units, [TINY_INPUT_SIZE]
 * @param[out] x    sample, [TINY_INPUT_SIZE]
 * @return MCG_OK; MCG_ERR_NULL
 */
mcg_status_t tiny_quantize(const float real[TINY_INPUT_SIZE], int8_t x[TINY_INPUT_SIZE]);

/**
 * @brief Learn from one labelled sample. On error nothing changes.
 *
 * @param[in,out] m     the model's memory
 * @param[in]     x     sample, [TINY_INPUT_SIZE]
 * @param[in]     label class of the sample, below TINY_OUTPUT_SIZE
 * @param[out]    step  what the step reports, or NULL
 * @return MCG_OK; MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_LABEL for a class that there is not
 */
mcg_status_t tiny_train_step(tiny_t *m, const int8_t x[TINY_INPUT_SIZE], uint32_t label, tiny_step_t *step);

/**
 * @brief Let the learning rate be the same from the next step on; 0 stops learning. Ends a schedule.
 *
 * @param[in,out] m    the model's memory
 * @param[in]     rate finite, not below 0
 * @return MCG_OK; MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_RATE
 */
mcg_status_t tiny_set_rate(tiny_t *m, float rate);

/**
 * @brief Let the learning rate run by the step counter from the next step on: constant, cosine, linear, step
 * decay, with a warm-up.
 *
 * @param[in,out] m        the model's memory
 * @param[in]     schedule how; its start is not looked at
 * @return MCG_OK; MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_RATE, or MCG_ERR_ARG
 */
mcg_status_t tiny_set_schedule(tiny_t *m, const mcg_schedule_t *schedule);

#ifdef __cplusplus
}
#endif

#endif /* TINY_H */
