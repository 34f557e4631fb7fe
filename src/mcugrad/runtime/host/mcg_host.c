/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of the host twin: whole epochs in C, the same for every model. They come behind the model's own C
 * in one file, which says what they are about:
 *
 *   MCG_HOST_MODEL     the descriptor
 *   MCG_HOST_LOGITS    bytes of the logits
 *   MCG_HOST_RESULTS   results of the frozen layers, if there are any: {place in the model, bytes}
 *   MCG_HOST_TRAINS    defined when the model trains
 *   MCG_HOST_SOFT      defined when it trains towards distributions
 *   MCG_HOST_STEP      bytes of what a step reports
 *   MCG_HOST_REST      what follows the frozen layers, where replay buffers hold latents
 *   host_init, host_frozen, host_forward, host_train   its functions, on a void pointer: the
 * last two do what follows the frozen layers
 */

/* Where the results of the frozen layers are kept: `place` says for each sample which record is its own, or
 * -1. */
typedef struct {
    const int32_t *place;
    uint8_t *known;
    uint8_t *records;
} mcg_memo_t;

mcg_status_t mcg_host_init(void *m);
mcg_status_t mcg_host_predict(void *m, const mcg_memo_t *memo, const int8_t *x, size_t samples, void *y);
mcg_status_t mcg_host_train(void *m, const mcg_memo_t *memo, void *replay, void *augment, int8_t *scratch,
                            const int8_t *x, const void *labels, const uint32_t *order, const float *rates,
                            size_t steps, void *info);
mcg_status_t mcg_host_train_soft(void *m, const int8_t *x, const uint8_t *soft, const uint32_t *order,
                                 const float *rates, size_t steps, void *info);
mcg_status_t mcg_host_augment(void *augment, const int8_t *x, size_t samples, int8_t *y);
mcg_status_t mcg_host_guard(void *m, void *snapshot, const int8_t *x, const void *labels, uint32_t samples,
                            float margin, void *result);
mcg_status_t mcg_host_replay_init(void *replay, void *memory, uint32_t words, uint32_t seed, uint32_t every,
                                  uint32_t collect);
mcg_status_t mcg_host_replay_add(void *m, void *replay, int8_t *scratch, const int8_t *x, const void *labels,
                                 size_t samples);
mcg_status_t mcg_host_replay_remember(void *m, void *replay);
size_t mcg_host_replay_size(void);

/*
 * Small numbers are kept, and rounding is to nearest, whatever else in this process has asked the processor
 * for: a library linked with -ffast-math or a call such as torch.set_flush_denormal does so for whole
 * threads.
 */
#if defined(__x86_64__)
typedef uint32_t mcg_host_mode_t;
#define MCG_HOST_PLAIN 0x1f80U
static mcg_host_mode_t mcg_host_mode(void) { return __builtin_ia32_stmxcsr(); }
static void mcg_host_set_mode(mcg_host_mode_t mode) { __builtin_ia32_ldmxcsr(mode); }
#elif defined(__aarch64__)
typedef uint64_t mcg_host_mode_t;
#define MCG_HOST_PLAIN 0U
static mcg_host_mode_t mcg_host_mode(void)
{
    mcg_host_mode_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static void mcg_host_set_mode(mcg_host_mode_t mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
}
#else
typedef uint32_t mcg_host_mode_t;
#define MCG_HOST_PLAIN 0U
static mcg_host_mode_t mcg_host_mode(void) { return MCG_HOST_PLAIN; }
static void mcg_host_set_mode(mcg_host_mode_t mode) { (void)mode; }
#endif

/* The plain mode from now on; returns the one that was. */
static mcg_host_mode_t mcg_host_begin(void)
{
    const mcg_host_mode_t was = mcg_host_mode();
    mcg_host_set_mode(MCG_HOST_PLAIN);
    return was;
}

mcg_status_t mcg_host_init(void *m) { return host_init(m); }

/* The sample of a number. */
static const int8_t *mcg_host_sample(const int8_t *x, size_t number)
{
    return x + number * (size_t)MCG_HOST_MODEL.input_size;
}

#ifdef MCG_HOST_RESULTS
static const uint32_t mcg_host_results[][2] = MCG_HOST_RESULTS;

#define MCG_HOST_COUNT (sizeof mcg_host_results / sizeof mcg_host_results[0])

/* Copy the results of the frozen layers out of a model into a record, or back. */
static void mcg_host_copy(void *m, uint8_t *record, bool back)
{
    for (size_t i = 0; i < MCG_HOST_COUNT; i++) {
        void *const at = mcg_at(m, mcg_host_results[i][0]);
        if (back) {
            memcpy(at, record, mcg_host_results[i][1]);
        } else {
            memcpy(record, at, mcg_host_results[i][1]);
        }
        record += mcg_host_results[i][1];
    }
}

/* The frozen layers on the sample of a number, or what they gave when it was seen before. */
static void mcg_host_frozen(void *m, const mcg_memo_t *memo, size_t number, const int8_t *x)
{
    const int32_t place = memo->place[number];
    size_t bytes = 0;
    if (place < 0) {
        host_frozen(m, x);
        return;
    }
    for (size_t i = 0; i < MCG_HOST_COUNT; i++) {
        bytes += mcg_host_results[i][1];
    }
    if (memo->known[place] == 0U) {
        host_frozen(m, x);
    }
    mcg_host_copy(m, memo->records + (size_t)place * bytes, memo->known[place] != 0U);
    memo->known[place] = 1;
}
#endif

/* Logits of `samples` inputs, one after the other. */
mcg_status_t mcg_host_predict(void *m, const mcg_memo_t *memo, const int8_t *x, size_t samples, void *y)
{
    const mcg_host_mode_t was = mcg_host_begin();
    mcg_status_t status = MCG_OK;
    (void)memo;
    for (size_t i = 0; i < samples && status == MCG_OK; i++) {
#ifdef MCG_HOST_RESULTS
        if (memo != NULL) {
            mcg_host_frozen(m, memo, i, mcg_host_sample(x, i));
            host_forward(m, mcg_host_sample(x, i));
            memcpy((uint8_t *)y + i * MCG_HOST_LOGITS, mcg_look(m, MCG_HOST_MODEL.output), MCG_HOST_LOGITS);
            continue;
        }
#endif
        status = mcg_predict(&MCG_HOST_MODEL, m, mcg_host_sample(x, i), (uint8_t *)y + i * MCG_HOST_LOGITS);
    }
    mcg_host_set_mode(was);
    return status;
}

#ifdef MCG_HOST_TRAINS
#ifdef MCG_HOST_REST
#define MCG_HOST_STORES MCG_HOST_REST.model
#else
#define MCG_HOST_STORES MCG_HOST_MODEL
#endif

/* A step on a sample with stored ones. */
static mcg_status_t mcg_host_replayed(void *m, mcg_replay_t *replay, const int8_t *x, const void *label,
                                      void *step)
{
#ifdef MCG_HOST_REST
    return mcg_train_latents(&MCG_HOST_REST, m, replay, x, label, step);
#else
    return mcg_train_replay(&MCG_HOST_MODEL, m, replay, x, label, step);
#endif
}

/* A step on the sample of a number, or a changed one in its place. */
static mcg_status_t mcg_host_step(void *m, const mcg_memo_t *memo, size_t number, const int8_t *x,
                                  const void *label, void *step)
{
#ifdef MCG_HOST_RESULTS
    if (memo != NULL) {
        if (!mcg_label_is_valid(&MCG_HOST_MODEL, label)) {
            return MCG_ERR_LABEL;
        }
        mcg_host_frozen(m, memo, number, x);
        host_train(m, x, label, step);
        return MCG_OK;
    }
#endif
    (void)memo;
    (void)number;
    return mcg_train_step(&MCG_HOST_MODEL, m, x, label, step);
}

/* One training step per entry of `order`, an index into the samples, at the learning rate of the same entry;
 * by the model's own schedule if there are no rates. With stored samples between them if there is a replay
 * buffer; changed at random first if it is said how; without either, frozen layers compute each sample once
 * if there is a memo. */
mcg_status_t mcg_host_train(void *m, const mcg_memo_t *memo, void *replay, void *augment, int8_t *scratch,
                            const int8_t *x, const void *labels, const uint32_t *order, const float *rates,
                            size_t steps, void *info)
{
    const mcg_host_mode_t was = mcg_host_begin();
    mcg_replay_t *const buffer = (mcg_replay_t *)replay;
    mcg_augment_t *const how = (mcg_augment_t *)augment;
    mcg_status_t status = MCG_OK;
    if (buffer != NULL) {
        buffer->augment = how;
        buffer->scratch = scratch;
    }
    for (size_t i = 0; i < steps && status == MCG_OK; i++) {
        const int8_t *sample = mcg_host_sample(x, order[i]);
        const void *const label = mcg_label_of(&MCG_HOST_MODEL, labels, order[i]);
        void *const step = (uint8_t *)info + i * MCG_HOST_STEP;
        if (rates != NULL) {
            status = mcg_set_rate(&MCG_HOST_MODEL, m, rates[i]);
        }
        if (buffer != NULL) {
            status = status == MCG_OK ? mcg_host_replayed(m, buffer, sample, label, step) : status;
            continue;
        }
        if (how != NULL && status == MCG_OK) {
            status = mcg_augment(&MCG_HOST_MODEL, how, sample, scratch);
            sample = scratch;
        }
        if (status == MCG_OK) {
            status = mcg_host_step(m, memo, order[i], sample, label, step);
        }
    }
    mcg_host_set_mode(was);
    return status;
}

mcg_status_t mcg_host_augment(void *augment, const int8_t *x, size_t samples, int8_t *y)
{
    mcg_status_t status = MCG_OK;
    for (size_t i = 0; i < samples && status == MCG_OK; i++) {
        status = mcg_augment(&MCG_HOST_MODEL, (mcg_augment_t *)augment, mcg_host_sample(x, i),
                             y + i * (size_t)MCG_HOST_MODEL.input_size);
    }
    return status;
}

mcg_status_t mcg_host_guard(void *m, void *snapshot, const int8_t *x, const void *labels, uint32_t samples,
                            float margin, void *result)
{
    const mcg_host_mode_t was = mcg_host_begin();
    const mcg_status_t status =
        mcg_guard(&MCG_HOST_MODEL, m, snapshot, x, labels, samples, margin, (mcg_guard_t *)result);
    mcg_host_set_mode(was);
    return status;
}

mcg_status_t mcg_host_replay_init(void *replay, void *memory, uint32_t words, uint32_t seed, uint32_t every,
                                  uint32_t collect)
{
    mcg_replay_t *const buffer = (mcg_replay_t *)replay;
    const mcg_status_t status = mcg_replay_init(&MCG_HOST_STORES, buffer, (uint32_t *)memory, words, seed);
    buffer->every = every;
    buffer->collect = collect;
    return status;
}

mcg_status_t mcg_host_replay_add(void *m, void *replay, int8_t *scratch, const int8_t *x, const void *labels,
                                 size_t samples)
{
    const mcg_host_mode_t was = mcg_host_begin();
    mcg_status_t status = MCG_OK;
    for (size_t i = 0; i < samples && status == MCG_OK; i++) {
        const int8_t *stored = mcg_host_sample(x, i);
#ifdef MCG_HOST_REST
        status = mcg_latents(&MCG_HOST_REST, m, stored, scratch);
        stored = scratch;
#endif
        if (status == MCG_OK) {
            status = mcg_replay_add(&MCG_HOST_STORES, (mcg_replay_t *)replay, stored,
                                    mcg_label_of(&MCG_HOST_MODEL, labels, (uint32_t)i));
        }
    }
    (void)m;
    (void)scratch;
    mcg_host_set_mode(was);
    return status;
}

size_t mcg_host_replay_size(void) { return sizeof(mcg_replay_t); }
#endif

#ifdef MCG_HOST_SOFT
/* One step towards a distribution per entry of `order`. */
mcg_status_t mcg_host_train_soft(void *m, const int8_t *x, const uint8_t *soft, const uint32_t *order,
                                 const float *rates, size_t steps, void *info)
{
    const mcg_host_mode_t was = mcg_host_begin();
    mcg_status_t status = MCG_OK;
    for (size_t i = 0; i < steps && status == MCG_OK; i++) {
        if (rates != NULL) {
            status = mcg_set_rate(&MCG_HOST_MODEL, m, rates[i]);
        }
        if (status == MCG_OK) {
            status = mcg_train_soft(&MCG_HOST_MODEL, m, mcg_host_sample(x, order[i]),
                                    soft + (size_t)order[i] * (size_t)MCG_HOST_MODEL.output_size,
                                    (uint8_t *)info + i * MCG_HOST_STEP);
        }
    }
    mcg_host_set_mode(was);
    return status;
}

mcg_status_t mcg_host_replay_remember(void *m, void *replay)
{
    const mcg_host_mode_t was = mcg_host_begin();
    const mcg_status_t status = mcg_replay_remember(&MCG_HOST_STORES, m, (mcg_replay_t *)replay);
    mcg_host_set_mode(was);
    return status;
}
#endif
