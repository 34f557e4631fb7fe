/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int32_t mcg_device_call(uintptr_t function, uintptr_t a0, uintptr_t a1, uintptr_t a2, uintptr_t a3)
 *
 * Calls the function between two markers. Nothing but one BLX stands between them, so that the instructions
 * and the stack counted there are the callee's own. Only ARMv6-M instructions: every core runs them.
 */
    .syntax unified
    .thumb
    .section .text.mcg_device_call, "ax", %progbits
    .global mcg_device_call
    .type mcg_device_call, %function
    .thumb_func
mcg_device_call:
    push {r4, lr}
    mov r4, r0
    mov r0, r1
    mov r1, r2
    mov r2, r3
    ldr r3, [sp, #8]
    bkpt #1
    blx r4
    bkpt #2
    pop {r4, pc}
    .size mcg_device_call, . - mcg_device_call
