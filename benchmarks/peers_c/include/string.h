/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer asks of a C library where there is none: copies of known size become loads and stores, as with
 * one. */
#ifndef PEERS_STRING_H
#define PEERS_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);

#define memcpy __builtin_memcpy
#define memset __builtin_memset

#endif
