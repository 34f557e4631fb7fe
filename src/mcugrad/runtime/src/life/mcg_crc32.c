/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_crc32(int32_t count, const uint8_t *data, uint32_t *crc)
{
    static const uint32_t nibble[16] = {
        0x00000000U, 0x1db71064U, 0x3b6e20c8U, 0x26d930acU, 0x76dc4190U, 0x6b6b51f4U,
        0x4db26158U, 0x5005713cU, 0xedb88320U, 0xf00f9344U, 0xd6d6a3e8U, 0xcb61b38cU,
        0x9b64c2b0U, 0x86d3d2d4U, 0xa00ae278U, 0xbdbdf21cU,
    };
    uint32_t rest = ~*crc;
    for (int32_t i = 0; i < count; i++) {
        rest ^= data[i];
        rest = (rest >> 4) ^ nibble[rest & 15U];
        rest = (rest >> 4) ^ nibble[rest & 15U];
    }
    *crc = ~rest;
}
