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

static tiny_t model; /* all memory the model needs: 516 bytes */
static int8_t x[TINY_INPUT_SIZE];
static int8_t y[TINY_OUTPUT_SIZE];

int main(void)
{
    if (tiny_init(&model) != MCG_OK) {
        return 1;
    }
    while (read_sample(x)) {
        const int32_t label = read_label();
        if (label >= 0) {
            tiny_step_t step;
            if (tiny_train_step(&model, x, (uint32_t)label, &step) != MCG_OK) {
                return 1;
            }
        }
        if (tiny_predict(&model, x, y) != MCG_OK) {
            return 1;
        }
    }
    return 0;
}
