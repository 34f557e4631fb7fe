/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds unaligned accesses that the chip refuses and the emulator lets pass: those of LDRD, STRD, LDM, STM,
 * exclusive and floating-point loads and stores. unicorn calls mcg_host_check_alignment at every access of
 * data. Built for this computer and registered by address; alignment.py holds the same structure.
 */
#include <stdint.h>

typedef struct {
    uint64_t code_address;
    uint64_t code_bytes;
    const uint8_t *code; /* the flash, as the core sees it from code_address on */
    int (*stop)(void *engine);
    int (*read_register)(void *engine, int name, void *value);
    uint64_t bad_address; /* of the first refused access */
    uint32_t bad_bytes;   /* 0: none yet */
    uint32_t bad_pc;
    int32_t pc_name; /* unicorn's name of the program counter */
    uint32_t reserved;
} mcg_host_alignment_t;

void mcg_host_check_alignment(void *engine, int kind, uint64_t address, int bytes, int64_t value, void *user);

/* LDM, STM, LDRD, STRD and exclusives start with 1110 100, coprocessor (FPU) loads and stores with 1110 110.
 */
static int needs_alignment(const mcg_host_alignment_t *a, uint32_t pc)
{
    if (pc < a->code_address || pc + 2 > a->code_address + a->code_bytes) {
        return 0;
    }
    const uint8_t high = a->code[pc - a->code_address + 1];
    return (high & 0xFEu) == 0xE8u || (high & 0xFEu) == 0xECu ||
           (high & 0xF0u) == 0xC0u; /* 16-bit LDM, STM */
}

void mcg_host_check_alignment(void *engine, int kind, uint64_t address, int bytes, int64_t value, void *user)
{
    mcg_host_alignment_t *a = user;
    (void)kind;
    (void)value;
    const uint32_t mask = bytes >= 4 ? 3u : (uint32_t)bytes - 1u; /* no instruction asks for more than 4 */
    if ((address & mask) == 0 || a->bad_bytes != 0) {
        return;
    }
    uint32_t pc = 0;
    a->read_register(engine, a->pc_name, &pc);
    if (needs_alignment(a, pc)) {
        a->bad_address = address;
        a->bad_bytes = (uint32_t)bytes;
        a->bad_pc = pc;
        a->stop(engine);
    }
}
