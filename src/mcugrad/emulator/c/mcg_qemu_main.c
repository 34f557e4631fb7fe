/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls functions in QEMU and counts their instructions: each job is what memory holds before a call, read
 * from the standard input of QEMU, and its answer what memory holds afterwards, written to the standard
 * output.
 *
 * Under `-icount` every instruction takes the same time, which the system timer measures: a loop of known
 * length tells how many of its ticks an instruction is. MCG_JOB is where the job lies, MCG_JOB_BYTES what is
 * read and written.
 */
#include <stdint.h>

void mcg_device_main(void);

typedef uint32_t (*function_t)(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t,
                               uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t,
                               uint32_t, uint32_t, uint32_t, uint32_t);

typedef struct {
    function_t function;
    uint32_t result; /* what it returned */
    uint32_t nothing, loop, ticks,
        wrapped; /* ticks of a function of one instruction, of the loop, of the function */
    uint32_t arguments[20];
} job_t;

#define JOB ((volatile job_t *)MCG_JOB)
#define TIMER_CONTROL (*(volatile uint32_t *)0xE000E010U)
#define TIMER_RELOAD (*(volatile uint32_t *)0xE000E014U)
#define TIMER_VALUE (*(volatile uint32_t *)0xE000E018U)
#define TIMER_LAST 0xFFFFFFU
#define TIMER_RUNS 5U /* enabled, by the clock of the core */
#define TIMER_WRAPPED (1U << 16)
#define OPEN 1U
#define WRITE 5U
#define READ 6U
#define EXIT 24U
#define TO_READ 1U  /* "rb" */
#define TO_WRITE 5U /* "wb" */
#define APPLICATION_EXIT 0x20026U

/* The host does what r0 says, by the numbers of Arm's semihosting. */
static uint32_t ask(uint32_t what, uintptr_t with)
{
    register uint32_t r0 __asm__("r0") = what;
    register uintptr_t r1 __asm__("r1") = with;
    __asm__ volatile("bkpt #0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

__attribute__((naked, noinline)) static void nothing(void) { __asm__ volatile("bx lr"); }

__attribute__((naked, noinline)) static void loop(void)
{
    __asm__ volatile("movs r0, #1\n\tlsls r0, r0, #20\n1:\n\tsubs r0, r0, #1\n\tbne 1b\n\tbx lr");
}

static uint32_t timed(function_t function)
{
    uint32_t a[20], before;
    for (int i = 0; i < 20; ++i) {
        a[i] = JOB->arguments[i];
    }
    TIMER_VALUE = 0;
    before = TIMER_VALUE;
    JOB->result = function(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12],
                           a[13], a[14], a[15], a[16], a[17], a[18], a[19]);
    return (before - TIMER_VALUE) & TIMER_LAST;
}

static uint32_t opened(const char *name, uint32_t length, uint32_t how)
{
    const uint32_t file[3] = {(uint32_t)(uintptr_t)name, how, length};
    return ask(OPEN, (uintptr_t)file);
}

/* Reads or writes a job, which may take several pieces; 0 if there is no more. */
static int moved(uint32_t what, uint32_t file)
{
    uint32_t piece[3] = {file, MCG_JOB, MCG_JOB_BYTES};
    while (piece[2] != 0) {
        const uint32_t left = ask(what, (uintptr_t)piece);
        if (left >= piece[2]) {
            return 0;
        }
        piece[1] += piece[2] - left;
        piece[2] = left;
    }
    return 1;
}

void mcg_device_main(void)
{
    static const char input[] = "/dev/stdin", output[] = "/dev/stdout";
    const uint32_t jobs = opened(input, sizeof input - 1U, TO_READ);
    const uint32_t answers = opened(output, sizeof output - 1U, TO_WRITE);
    uint32_t of_nothing, of_loop;

    TIMER_RELOAD = TIMER_LAST;
    TIMER_VALUE = 0;
    TIMER_CONTROL = TIMER_RUNS;
    of_nothing = timed((function_t)(uintptr_t)nothing);
    of_loop = timed((function_t)(uintptr_t)loop);
    while (moved(READ, jobs)) {
        (void)TIMER_CONTROL;
        JOB->ticks = timed(JOB->function);
        JOB->wrapped = TIMER_CONTROL & TIMER_WRAPPED;
        JOB->nothing = of_nothing;
        JOB->loop = of_loop;
        (void)moved(WRITE, answers);
    }
    for (;;) {
        (void)ask(EXIT, APPLICATION_EXIT);
    }
}
