/* SPDX-License-Identifier: Apache-2.0 AND LicenseRef-tiny */
/*
 * tiny.h - tiny.onnx with on-device training. Generated: do not edit.
 *   from    tiny.onnx  sha256 <digest>
 *   by      mcugrad <version>
 *   needs   RAM 612 B (tiny_t)   constants 198 B of flash   no heap, no libc
 *   trains  conv1, fc1 (sr8, in place)
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
#define TINY_RAM_SIZE 612 /* bytes of tiny_t */
#define TINY_PARAMS_SIZE 176 /* of them what was learned */
#define TINY_FINGERPRINT 0xc7bae495U /* of the model: what is learned fits one with the same alone */

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
    int8_t conv1_w[8]; /* weights */
    int8_t fc1_w[54]; /* weights */
} tiny_params_t;

/** What one step needs for a while. Members that are never needed at the same time share bytes. */
typedef union {
    uint32_t words[108];
    struct {
        int32_t v[8];
    } conv1_gradient; /* weight gradients of a few rows [2][4] */
    struct {
        int8_t v[18];
    } conv1_y; /* activation [3][3][2] */
    struct {
        float v[2];
    } flatten1_y_e_c; /* unit of the error, and its fill [2] */
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
        int8_t v[3];
    } fc1_y_e; /* error [3] */
    struct {
        uint8_t before[64];
        int32_t v;
    } flatten1_y_e_peak; /* largest magnitude before saturation, steps */
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
        float v;
    } loss; /* cross-entropy of the sample, nats */
    struct {
        uint8_t before[92];
        uint32_t v;
    } predicted; /* class predicted before the step */
    struct {
        uint8_t before[96];
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

/** A state to come back to. All zero at the beginning. */
typedef struct {
    uint32_t ready;
    float error; /* on the guard set */
    tiny_params_t params;
} tiny_snapshot_t;

/** Words of memory for so many samples of a replay buffer. */
#define TINY_REPLAY_WORDS(capacity) ((capacity) * 6U)

/** Samples kept to be trained again: a class-balanced reservoir in memory that you place. */
typedef struct {
    uint32_t ready;
    uint32_t every; /* a stored sample follows every so many new ones, 1 at first; 0 for none: set it as you like */
    uint32_t collect; /* whether new samples enter, 1 at first: set it to 0 to keep what is there */
    uint32_t capacity; /* samples that it can hold */
    uint32_t count; /* samples in it */
    uint32_t fresh; /* new samples trained with it */
    uint32_t added; /* samples offered */
    uint32_t drawn; /* samples drawn */
    uint32_t seed; /* random numbers */
    uint32_t seen[3]; /* samples offered, by class */
    uint32_t held[3]; /* samples in it, by class */
    uint8_t full[3]; /* whether a class has had its share */
    uint32_t *memory;
    mcg_augment_t *augment; /* changes what is trained, NULL at first: set it as you like */
    int8_t *scratch; /* TINY_INPUT_SIZE bytes for that */
} tiny_replay_t;

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
 * @brief Say what raw values of a converter mean: real = unit * (raw - middle).
 *
 * @param[out] how    the same in steps of the input
 * @param[in]  unit   above 0, at most 4096 steps of the input, 4096 * TINY_INPUT_SCALE
 * @param[in]  middle from -65536 to 65536
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_ARG
 */
mcg_status_t tiny_adc_init(mcg_adc_t *how, float unit, int32_t middle);

/**
 * @brief Quantize a sample of raw values, in integers alone. The result is that for the same real values, but
 * where one of them is within 1/100 step of half a step between two results: there it may be the other one.
 *
 * @param[in]  how what they mean
 * @param[in]  raw sample of raw values, [TINY_INPUT_SIZE]
 * @param[out] x   sample, [TINY_INPUT_SIZE]
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_ARG if nobody said what they mean
 */
mcg_status_t tiny_quantize_s16(const mcg_adc_t *how, const int16_t raw[TINY_INPUT_SIZE],
                               int8_t x[TINY_INPUT_SIZE]);

/**
 * @brief Quantize a sample of raw values without a sign, in the same way.
 *
 * @param[in]  how what they mean
 * @param[in]  raw sample of raw values, [TINY_INPUT_SIZE]
 * @param[out] x   sample, [TINY_INPUT_SIZE]
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_ARG if nobody said what they mean
 */
mcg_status_t tiny_quantize_u16(const mcg_adc_t *how, const uint16_t raw[TINY_INPUT_SIZE],
                               int8_t x[TINY_INPUT_SIZE]);

/**
 * @brief Follow how sure predictions are, and whether they have become less sure than they were. Call it with
 * the logits of every prediction. It needs no label and changes no model.
 *
 * @param[in]     m     the model's memory
 * @param[in]     y     logits, [TINY_OUTPUT_SIZE]
 * @param[in,out] drift follows; zero at first
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_STATE
 */
mcg_status_t tiny_watch(const tiny_t *m, const int8_t y[TINY_OUTPUT_SIZE], mcg_drift_t *drift);

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
 * @brief Learn from one sample what another network, or this one earlier, said of it. Running means and drift
 * that the step reports are those of labelled steps. On error nothing changes.
 *
 * @param[in,out] m    the model's memory
 * @param[in]     x    sample, [TINY_INPUT_SIZE]
 * @param[in]     soft shares of the classes in a softmax at temperature 3, relative to their sum,
 *                     [TINY_OUTPUT_SIZE]
 * @param[out]    step what the step reports, or NULL
 * @return MCG_OK; MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_ARG for shares that are all 0
 */
mcg_status_t tiny_train_soft(tiny_t *m, const int8_t x[TINY_INPUT_SIZE], const uint8_t soft[TINY_OUTPUT_SIZE],
                             tiny_step_t *step);

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

/**
 * @brief Say how samples are to change before they are trained, so that fewer of them suffice. On error
 * nothing changes.
 *
 * @param[out] how     by how much, in the units of the device
 * @param[in]  shift_h rows at most, below 4
 * @param[in]  shift_w columns at most, below 4
 * @param[in]  gain    share at most, in [0, 1]
 * @param[in]  offset  of all values alike at most, real units, up to 255 * TINY_INPUT_SCALE
 * @param[in]  noise   standard deviation of that of each value, real units, up to 147.2 * TINY_INPUT_SCALE
 * @param[in]  seed    of the random numbers
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_ARG
 */
mcg_status_t tiny_augment_init(mcg_augment_t *how, int32_t shift_h, int32_t shift_w, float gain, float offset,
                               float noise, uint32_t seed);

/**
 * @brief Shift a sample at random, scale it, add noise, differently each time. On error nothing changes.
 *
 * @param[in,out] how by how much; it counts
 * @param[in]     x   sample, [TINY_INPUT_SIZE]
 * @param[out]    y   changed sample, [TINY_INPUT_SIZE]; must not overlap x
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_ARG for changes that cannot be
 */
mcg_status_t tiny_augment(mcg_augment_t *how, const int8_t x[TINY_INPUT_SIZE], int8_t y[TINY_INPUT_SIZE]);

/**
 * @brief Keep the state of a model as the one to come back to. Its error is not known.
 *
 * @param[in]  m        the model's memory
 * @param[out] snapshot of that model
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_STATE for a model that is not initialised
 */
mcg_status_t tiny_snapshot(const tiny_t *m, tiny_snapshot_t *snapshot);

/**
 * @brief Come back to the state kept: all that was learned. Schedule, running means and step counter go on,
 * so that time does not run backwards.
 *
 * @param[in,out] m        the model's memory
 * @param[in]     snapshot of that model
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_STATE for a model or a snapshot that holds none
 */
mcg_status_t tiny_rollback(tiny_t *m, const tiny_snapshot_t *snapshot);

/**
 * @brief Test a model; keep its state if none was better so far, come back to the best one if it is worse by
 * more than the margin. The error is the share of labels that are wrong; for values their mean squared error
 * in real units.
 *
 * @param[in,out] m        the model's memory
 * @param[in,out] snapshot the best state so far; of no model or another one: none yet
 * @param[in]     x        samples, [samples][TINY_INPUT_SIZE]
 * @param[in]     labels   of the samples
 * @param[in]     samples  at least 1
 * @param[in]     margin   finite, not below 0
 * @param[out]    result   what was found, or NULL
 * @return MCG_OK; MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_ARG, or MCG_ERR_LABEL for a class that there is not
 */
mcg_status_t tiny_guard(tiny_t *m, tiny_snapshot_t *snapshot, const int8_t *x, const uint32_t *labels,
                        uint32_t samples, float margin, mcg_guard_t *result);

/**
 * @brief Place an empty replay buffer into memory.
 *
 * @param[out] replay every new sample is followed by a stored one, and enters
 * @param[in]  memory [words]; it need not hold anything
 * @param[in]  words  enough for one sample at least
 * @param[in]  seed   of the random numbers
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_ARG
 */
mcg_status_t tiny_replay_init(tiny_replay_t *replay, uint32_t *memory, uint32_t words, uint32_t seed);

/**
 * @brief Offer a sample to a replay buffer.
 *
 * @param[in,out] replay of that model
 * @param[in]     x      sample, [TINY_INPUT_SIZE]
 * @param[in]     label  class of the sample, below TINY_OUTPUT_SIZE
 * @return MCG_OK; MCG_ERR_NULL, MCG_ERR_STATE, or MCG_ERR_LABEL for a class that there is not
 */
mcg_status_t tiny_replay_add(tiny_replay_t *replay, const int8_t x[TINY_INPUT_SIZE], uint32_t label);

/**
 * @brief Remember what a model says now about every stored sample, so that it forgets less. These are trained
 * towards that, a soft label, from now on, not towards their labels; samples that enter later have their
 * labels alone until it is called again.
 *
 * @param[in,out] m      the model's memory; nothing that was learned changes
 * @param[in,out] replay of that model
 * @return MCG_OK; MCG_ERR_NULL, or MCG_ERR_STATE
 */
mcg_status_t tiny_replay_remember(tiny_t *m, tiny_replay_t *replay);

/**
 * @brief Learn from a sample and, when it is its turn, from a stored one, so that what was known is not
 * forgotten. Then the sample is offered to the buffer, if that collects. On error nothing changes.
 *
 * @param[in,out] m      the model's memory
 * @param[in,out] replay of that model; where it says how, both samples change first, but for one with a soft
 *                       label; what enters is the sample as it came
 * @param[in]     x      sample, [TINY_INPUT_SIZE]
 * @param[in]     label  class of the sample, below TINY_OUTPUT_SIZE
 * @param[out]    step   what the step on the new sample reports, or NULL
 * @return MCG_OK; MCG_ERR_NULL, MCG_ERR_STATE, MCG_ERR_LABEL for a class that there is not, or MCG_ERR_ARG
 * for changes that cannot be
 */
mcg_status_t tiny_train_replay(tiny_t *m, tiny_replay_t *replay, const int8_t x[TINY_INPUT_SIZE],
                               uint32_t label, tiny_step_t *step);

/** Draw a stored sample; the pointers stay good until the next one is offered. MCG_ERR_EMPTY if there is none. */
mcg_status_t tiny_replay_draw(tiny_replay_t *replay, const int8_t **x, uint32_t *label);

#ifdef __cplusplus
}
#endif

#endif /* TINY_H */
