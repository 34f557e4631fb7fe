/* SPDX-License-Identifier: Apache-2.0 */
/* A main that does nothing: for firmware whose functions the emulator calls one by one. */
void mcg_device_main(void);

void mcg_device_main(void)
{
    for (;;) {
        __asm__ volatile("bkpt #0" ::: "memory");
    }
}
