/* SPDX-License-Identifier: LicenseRef-tiny */
/*
 * main.c - how to use tiny. Replace the two functions at the top by your own.
 */
#include <stddef.h>

#include "tiny.h"

/* Where the samples come from: fill x and return 1, or return 0 when there is none. */
static int read_sample(int8_t x[TINY_INPUT_SIZE])
{
    for (size_t i = 0; i < TINY_INPUT_SIZE; i++) {
        x[i] = 0;
    }
    return 1;
}

/* Where labels come from: the class of the last sample, or -1 when nobody knows it. */
static int32_t read_label(void) { return -1; }

static tiny_t model; /* all memory the model needs: 612 bytes */
static int8_t x[TINY_INPUT_SIZE];
static int8_t y[TINY_OUTPUT_SIZE];
static mcg_drift_t drift; /* how sure predictions are */
static uint32_t memory[TINY_REPLAY_WORDS(16)]; /* old samples, trained between the new ones: 384 bytes */
static tiny_replay_t replay;

int main(void)
{
    if (tiny_init(&model) != MCG_OK) {
        return 1;
    }
    if (tiny_replay_init(&replay, memory, sizeof memory / sizeof memory[0], 1) != MCG_OK) {
        return 1;
    }
    while (read_sample(x)) {
        const int32_t label = read_label();
        if (label >= 0) {
            tiny_step_t step;
            if (tiny_train_replay(&model, &replay, x, (uint32_t)label, &step) != MCG_OK) {
                return 1;
            }
        }
        if (tiny_predict(&model, x, y) != MCG_OK) {
            return 1;
        }
        /* The class is the index of the largest of y. */
        if (tiny_watch(&model, y, &drift) != MCG_OK) {
            return 1;
        }
        if (drift.drift >= 1.0F) {
            /* Predictions have become less sure than they were: time to learn from labelled samples. */
        }
    }
    return 0;
}
