/* SPDX-License-Identifier: Apache-2.0 */
/* Reset and fault handling for every Cortex-M. Symbols mcg_ld_* come from the generated linker script. */
#include <stdint.h>

/* Compilers drop the FPU, the DSP extension or Helium silently when a flag is misspelt: stop the build
 * instead. */
#if MCG_EXPECT_FPU && !(defined(__ARM_FP) && (__ARM_FP & 4))
#error "the target has an FPU but the compiler was not told: check the target's flags"
#elif !MCG_EXPECT_FPU && defined(__ARM_FP)
#error "the target has no FPU but the compiler uses one: check the target's flags"
#endif
#if MCG_EXPECT_DSP != defined(__ARM_FEATURE_DSP)
#error "the DSP extension of the target and of the compiler differ: check the target's flags"
#endif
#if MCG_EXPECT_MVE && !(defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2))
#error "the target has Helium but the compiler was not told: check the target's flags"
#elif !MCG_EXPECT_MVE && defined(__ARM_FEATURE_MVE)
#error "the target has no Helium but the compiler uses it: check the target's flags"
#endif

extern uint32_t mcg_ld_stack_top[];
extern uint32_t mcg_ld_data_load[], mcg_ld_data_start[], mcg_ld_data_end[];
extern uint32_t mcg_ld_bss_start[], mcg_ld_bss_end[];

void mcg_device_main(void);
void mcg_device_reset(void);
void mcg_device_fault(void);

#define MCG_CPACR (*(volatile uint32_t *)0xE000ED88u)
#define MCG_CPACR_FPU (0xFu << 20) /* coprocessors 10 and 11, full access */

/* Volatile accesses keep the compiler from calling memcpy and memset, which would count as the model's. */
void mcg_device_reset(void)
{
    const volatile uint32_t *from = mcg_ld_data_load;
    for (volatile uint32_t *to = mcg_ld_data_start; to != mcg_ld_data_end; ++to) {
        *to = *from++;
    }
    for (volatile uint32_t *to = mcg_ld_bss_start; to != mcg_ld_bss_end; ++to) {
        *to = 0;
    }
#if MCG_EXPECT_FPU
    MCG_CPACR |= MCG_CPACR_FPU;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    mcg_device_main();
    mcg_device_fault(); /* main never returns */
}

/* All exceptions end here: a debugger or the emulator stops at the marker and sees the stacked frame. */
void mcg_device_fault(void)
{
    for (;;) {
        __asm__ volatile("bkpt #250");
    }
}

typedef struct {
    uint32_t *stack_top;
    void (*handlers[15])(void);
} mcg_device_vectors_t;

extern const mcg_device_vectors_t mcg_device_vectors;
__attribute__((section(".mcg_vectors"), used)) const mcg_device_vectors_t mcg_device_vectors = {
    mcg_ld_stack_top,
    {
        mcg_device_reset,
        mcg_device_fault, /* NMI */
        mcg_device_fault, /* hard fault */
        mcg_device_fault, /* memory management, not on ARMv6-M */
        mcg_device_fault, /* bus, not on ARMv6-M */
        mcg_device_fault, /* usage, not on ARMv6-M */
        mcg_device_fault, /* secure, only ARMv8-M */
        0,
        0,
        0,
        mcg_device_fault, /* supervisor call */
        mcg_device_fault, /* debug monitor */
        0,
        mcg_device_fault, /* pended supervisor call */
        mcg_device_fault, /* system tick */
    },
};
