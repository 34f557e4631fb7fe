/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one generated model on commands from outside. The other side writes the mailbox, x and label while the
 * core waits at marker 0, lets it run to marker 0 again, and reads the mailbox, y and info.
 *
 *   MCG_MODEL          prefix of the model's functions, e.g. kws
 *   MCG_MODEL_HEADER   its header in quotes
 *   MCG_INPUT_SIZE     bytes of x
 *   MCG_OUTPUT_SIZE    elements of y
 *   MCG_OUTPUT_TYPE    their type
 *   MCG_LABEL_TYPE     element type of a label that is an array of MCG_OUTPUT_SIZE; not defined for a class
 *   MCG_SCHEDULE       defined when the model takes schedules of its learning rate
 *   MCG_REPLAY_SAMPLES places in a replay buffer, if one is wanted
 *   MCG_LATENTS_SIZE   bytes of a sample's latents, where it holds those
 *   MCG_GUARD_SAMPLES  most samples of a guard set, if one is wanted
 *   MCG_SOFT           defined when the model trains towards distributions, and it is wanted
 *   MCG_AUGMENT        defined when the model augments samples, and it is wanted
 *   MCG_NO_TRAINING    defined when the model only infers
 */
#include <stddef.h>
#include <stdint.h>

#include MCG_MODEL_HEADER

#define MCG_JOIN_NOW(a, b) a##b
#define MCG_JOIN(a, b) MCG_JOIN_NOW(a, b)
#define MCG_NAMED(suffix) MCG_JOIN(MCG_MODEL, suffix)

enum {
    MCG_COMMAND_INIT = 1,
    MCG_COMMAND_PREDICT = 2,
    MCG_COMMAND_TRAIN_STEP = 3,
    MCG_COMMAND_SET_SCHEDULE = 4,
    MCG_COMMAND_REPLAY_INIT = 5,
    MCG_COMMAND_REPLAY_ADD = 6,
    MCG_COMMAND_TRAIN_REPLAY = 7,
    MCG_COMMAND_GUARD = 8,
    MCG_COMMAND_TRAIN_SOFT = 9,
    MCG_COMMAND_REPLAY_REMEMBER = 10,
    MCG_COMMAND_AUGMENT = 11
};

typedef struct {
    uint32_t command;
    uint32_t label;
    int32_t status;
} mcg_device_mailbox_t;

extern volatile mcg_device_mailbox_t mcg_device_mailbox;
extern MCG_NAMED(_t) mcg_device_model;
extern int8_t mcg_device_x[MCG_INPUT_SIZE];
extern MCG_OUTPUT_TYPE mcg_device_y[MCG_OUTPUT_SIZE];

volatile mcg_device_mailbox_t mcg_device_mailbox;
MCG_NAMED(_t) mcg_device_model;
_Alignas(8) int8_t mcg_device_x[MCG_INPUT_SIZE];
_Alignas(8) MCG_OUTPUT_TYPE mcg_device_y[MCG_OUTPUT_SIZE];
#ifndef MCG_NO_TRAINING
extern MCG_NAMED(_step_t) mcg_device_info;
MCG_NAMED(_step_t) mcg_device_info;
#endif
#ifdef MCG_LABEL_TYPE
#define MCG_LABEL const MCG_LABEL_TYPE *
extern MCG_LABEL_TYPE mcg_device_label[MCG_OUTPUT_SIZE];
_Alignas(8) MCG_LABEL_TYPE mcg_device_label[MCG_OUTPUT_SIZE];
#else
#define MCG_LABEL uint32_t
#endif
#ifdef MCG_SCHEDULE
extern mcg_schedule_t mcg_device_schedule;
mcg_schedule_t mcg_device_schedule;
#endif
#ifdef MCG_LABEL_TYPE
#define MCG_LABEL_VALUE mcg_device_label
#define MCG_LABEL_ELEMENT MCG_LABEL_TYPE
#define MCG_LABEL_COUNT MCG_OUTPUT_SIZE
#else
#define MCG_LABEL_VALUE label
#define MCG_LABEL_ELEMENT uint32_t
#define MCG_LABEL_COUNT 1
#endif
#ifdef MCG_REPLAY_SAMPLES
extern MCG_NAMED(_replay_t) mcg_device_replay;
extern uint32_t mcg_device_replay_memory[MCG_REPLAY_SAMPLES * MCG_SLOT_WORDS];
MCG_NAMED(_replay_t) mcg_device_replay;
uint32_t mcg_device_replay_memory[MCG_REPLAY_SAMPLES * MCG_SLOT_WORDS];
#ifdef MCG_LATENTS_SIZE
extern int8_t mcg_device_latents[MCG_LATENTS_SIZE];
int8_t mcg_device_latents[MCG_LATENTS_SIZE];
#endif
#endif
#ifdef MCG_GUARD_SAMPLES
extern MCG_NAMED(_snapshot_t) mcg_device_snapshot;
extern int8_t mcg_device_guard_x[MCG_GUARD_SAMPLES * MCG_INPUT_SIZE];
extern MCG_LABEL_ELEMENT mcg_device_guard_labels[MCG_GUARD_SAMPLES * MCG_LABEL_COUNT];
extern float mcg_device_margin;
extern mcg_guard_t mcg_device_guard;
MCG_NAMED(_snapshot_t) mcg_device_snapshot;
int8_t mcg_device_guard_x[MCG_GUARD_SAMPLES * MCG_INPUT_SIZE];
MCG_LABEL_ELEMENT mcg_device_guard_labels[MCG_GUARD_SAMPLES * MCG_LABEL_COUNT];
float mcg_device_margin;
mcg_guard_t mcg_device_guard;
#endif
#ifdef MCG_SOFT
extern uint8_t mcg_device_soft[MCG_OUTPUT_SIZE];
_Alignas(8) uint8_t mcg_device_soft[MCG_OUTPUT_SIZE];
#endif
#ifdef MCG_AUGMENT
extern mcg_augment_t mcg_device_augment;
extern uint32_t mcg_device_augments;
extern int8_t mcg_device_scratch[MCG_INPUT_SIZE];
mcg_augment_t mcg_device_augment;
uint32_t mcg_device_augments; /* whether replay does */
_Alignas(8) int8_t mcg_device_scratch[MCG_INPUT_SIZE];
#endif

int32_t mcg_device_call(uintptr_t function, uintptr_t a0, uintptr_t a1, uintptr_t a2, uintptr_t a3);
void mcg_device_main(void);

/* mcg_device_call passes arguments on as they are; these say at compile time that the model takes them. */
static mcg_status_t (*const device_init)(MCG_NAMED(_t) *) = MCG_NAMED(_init);
static mcg_status_t (*const device_predict)(MCG_NAMED(_t) *, const int8_t *,
                                            MCG_OUTPUT_TYPE *) = MCG_NAMED(_predict);
#ifndef MCG_NO_TRAINING
static mcg_status_t (*const device_train_step)(MCG_NAMED(_t) *, const int8_t *, MCG_LABEL,
                                               MCG_NAMED(_step_t) *) = MCG_NAMED(_train_step);
#endif
#ifdef MCG_SCHEDULE
static mcg_status_t (*const device_set_schedule)(MCG_NAMED(_t) *,
                                                 const mcg_schedule_t *) = MCG_NAMED(_set_schedule);
#endif

#ifdef MCG_REPLAY_SAMPLES
/* mcg_device_call passes four arguments: these take the others from where they are. */
static mcg_status_t device_train_replay(MCG_NAMED(_t) * m, const int8_t *x, uint32_t label)
{
    (void)label;
#ifdef MCG_AUGMENT
    mcg_device_replay.augment = mcg_device_augments != 0U ? &mcg_device_augment : NULL;
    mcg_device_replay.scratch = mcg_device_scratch;
#endif
#ifdef MCG_LATENTS_SIZE
    mcg_device_replay.scratch = mcg_device_latents;
#endif
    return MCG_NAMED(_train_replay)(m, &mcg_device_replay, x, MCG_LABEL_VALUE, &mcg_device_info);
}
static mcg_status_t device_replay_add(const int8_t *x, uint32_t label)
{
    (void)label;
#ifdef MCG_LATENTS_SIZE
    {
        const mcg_status_t status = MCG_NAMED(_latents)(&mcg_device_model, x, mcg_device_latents);
        return status == MCG_OK
                   ? MCG_NAMED(_replay_add)(&mcg_device_replay, mcg_device_latents, MCG_LABEL_VALUE)
                   : status;
    }
#else
    return MCG_NAMED(_replay_add)(&mcg_device_replay, x, MCG_LABEL_VALUE);
#endif
}
static mcg_status_t (*const device_replay_init)(MCG_NAMED(_replay_t) *, uint32_t *, uint32_t,
                                                uint32_t) = MCG_NAMED(_replay_init);
#ifdef MCG_SOFT
static mcg_status_t (*const device_replay_remember)(MCG_NAMED(_t) *,
                                                    MCG_NAMED(_replay_t) *) = MCG_NAMED(_replay_remember);
#endif
#endif
#ifdef MCG_SOFT
static mcg_status_t (*const device_train_soft)(MCG_NAMED(_t) *, const int8_t *, const uint8_t *,
                                               MCG_NAMED(_step_t) *) = MCG_NAMED(_train_soft);
#endif
#ifdef MCG_AUGMENT
static mcg_status_t (*const device_augment)(mcg_augment_t *, const int8_t *, int8_t *) = MCG_NAMED(_augment);
#endif
#ifdef MCG_GUARD_SAMPLES
static mcg_status_t device_guard(MCG_NAMED(_t) * m, uint32_t samples)
{
    return MCG_NAMED(_guard)(m, &mcg_device_snapshot, mcg_device_guard_x, mcg_device_guard_labels, samples,
                             mcg_device_margin, &mcg_device_guard);
}
#endif

static int32_t run(uint32_t command, uint32_t label)
{
    const uintptr_t model = (uintptr_t)&mcg_device_model;
    const uintptr_t x = (uintptr_t)mcg_device_x;
    switch (command) {
        case MCG_COMMAND_INIT:
            return mcg_device_call((uintptr_t)device_init, model, 0, 0, 0);
        case MCG_COMMAND_PREDICT:
            return mcg_device_call((uintptr_t)device_predict, model, x, (uintptr_t)mcg_device_y, 0);
#ifndef MCG_NO_TRAINING
        case MCG_COMMAND_TRAIN_STEP:
#ifdef MCG_LABEL_TYPE
            return mcg_device_call((uintptr_t)device_train_step, model, x, (uintptr_t)mcg_device_label,
                                   (uintptr_t)&mcg_device_info);
#else
            return mcg_device_call((uintptr_t)device_train_step, model, x, label,
                                   (uintptr_t)&mcg_device_info);
#endif
#endif
#ifdef MCG_SCHEDULE
        case MCG_COMMAND_SET_SCHEDULE:
            return mcg_device_call((uintptr_t)device_set_schedule, model, (uintptr_t)&mcg_device_schedule, 0,
                                   0);
#endif
#ifdef MCG_REPLAY_SAMPLES
        case MCG_COMMAND_REPLAY_INIT:
            return mcg_device_call((uintptr_t)device_replay_init, (uintptr_t)&mcg_device_replay,
                                   (uintptr_t)mcg_device_replay_memory, MCG_REPLAY_SAMPLES * MCG_SLOT_WORDS,
                                   label);
        case MCG_COMMAND_REPLAY_ADD:
            return mcg_device_call((uintptr_t)device_replay_add, x, label, 0, 0);
        case MCG_COMMAND_TRAIN_REPLAY:
            return mcg_device_call((uintptr_t)device_train_replay, model, x, label, 0);
#ifdef MCG_SOFT
        case MCG_COMMAND_REPLAY_REMEMBER:
            return mcg_device_call((uintptr_t)device_replay_remember, model, (uintptr_t)&mcg_device_replay, 0,
                                   0);
#endif
#endif
#ifdef MCG_SOFT
        case MCG_COMMAND_TRAIN_SOFT:
            return mcg_device_call((uintptr_t)device_train_soft, model, x, (uintptr_t)mcg_device_soft,
                                   (uintptr_t)&mcg_device_info);
#endif
#ifdef MCG_AUGMENT
        case MCG_COMMAND_AUGMENT:
            return mcg_device_call((uintptr_t)device_augment, (uintptr_t)&mcg_device_augment, x,
                                   (uintptr_t)mcg_device_scratch, 0);
#endif
#ifdef MCG_GUARD_SAMPLES
        case MCG_COMMAND_GUARD:
            return mcg_device_call((uintptr_t)device_guard, model, label, 0, 0);
#endif
        default:
            (void)label;
            return INT32_MIN; /* no status of any model */
    }
}

void mcg_device_main(void)
{
    for (;;) {
        __asm__ volatile("bkpt #0" ::: "memory");
        mcg_device_mailbox.status = run(mcg_device_mailbox.command, mcg_device_mailbox.label);
    }
}
