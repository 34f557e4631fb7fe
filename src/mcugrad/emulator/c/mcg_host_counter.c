/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts executed instructions inside the emulator: unicorn calls mcg_host_count_block at the start of every
 * translated block. Built for this computer and registered by address; needs no header of unicorn.
 * counter.py holds the same structures and, in Python, the same rules.
 */
#include <stdint.h>

typedef struct {
    uint32_t address;
    uint32_t bytes;        /* 0: free slot */
    uint32_t instructions; /* in the block, also those an IT instruction skips */
    uint32_t reserved;
    uint64_t executions;
    uint64_t leaves; /* executions after which something other than the next address came */
    uint64_t enters; /* executions reached from something other than the previous address */
} mcg_host_block_t;

typedef struct {
    uint64_t instructions; /* executed so far */
    uint64_t limit;        /* stop the core when more were executed */
    uint64_t code_address;
    uint64_t code_bytes;
    const uint8_t *code; /* the flash, as the core sees it from code_address on */
    mcg_host_block_t *slots;
    mcg_host_block_t *previous;
    int (*stop)(void *engine);
    uint32_t slot_count; /* a power of two */
    uint32_t used;
    uint32_t stopped; /* 1: limit reached, 2: table full */
    uint32_t reserved;
} mcg_host_counter_t;

enum { MCG_HOST_LIMIT = 1, MCG_HOST_FULL = 2 };

void mcg_host_count_block(void *engine, uint64_t address, uint32_t bytes, void *user);

/* Thumb: a halfword of which the top five bits are 29, 30 or 31 starts a four-byte instruction. */
static uint32_t count_instructions(const mcg_host_counter_t *c, uint64_t address, uint32_t bytes)
{
    if (address < c->code_address || address + bytes > c->code_address + c->code_bytes) {
        return bytes / 2; /* not reached: only the flash is executable */
    }
    const uint8_t *code = c->code + (address - c->code_address);
    uint32_t count = 0;
    for (uint32_t at = 0; at + 1 < bytes; ++count) {
        at += (code[at + 1] >> 3) >= 29 ? 4 : 2;
    }
    return count;
}

static mcg_host_block_t *find(mcg_host_counter_t *c, uint32_t address, uint32_t bytes)
{
    const uint32_t mask = c->slot_count - 1;
    uint32_t at = (address >> 1) * 0x9E3779B1u;
    for (at = (at ^ (at >> 15)) & mask;; at = (at + 1) & mask) {
        mcg_host_block_t *block = &c->slots[at];
        if (block->address == address && block->bytes == bytes) {
            return block;
        }
        if (block->bytes == 0) {
            if (c->used >= c->slot_count / 4 * 3) {
                return 0;
            }
            ++c->used;
            block->address = address;
            block->bytes = bytes;
            block->instructions = count_instructions(c, address, bytes);
            return block;
        }
    }
}

void mcg_host_count_block(void *engine, uint64_t address, uint32_t bytes, void *user)
{
    mcg_host_counter_t *c = user;
    mcg_host_block_t *block = find(c, (uint32_t)address, bytes);
    if (block == 0) {
        c->stopped = MCG_HOST_FULL;
        c->stop(engine);
        return;
    }
    ++block->executions;
    if (c->previous != 0 && c->previous->address + c->previous->bytes != block->address) {
        ++c->previous->leaves;
        ++block->enters;
    }
    c->previous = block;
    c->instructions += block->instructions;
    if (c->instructions > c->limit) {
        c->stopped = MCG_HOST_LIMIT;
        c->stop(engine);
    }
}
