/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* arena.h - cuts arrays from the scratch memory of one decision. Nothing is given back; the next decision starts
 * anew. */

#include <stddef.h>

struct ma_arena {
    unsigned char *memory;
    size_t size;
    size_t used;
};

static inline size_t ma_arena_round(size_t bytes) {
    return (bytes + 15U) & ~(size_t) 15U;
}
/* `count` elements of `size`, 16-byte aligned, not cleared; NULL when the arena is too small. */
static inline void *ma_arena_take(struct ma_arena *arena, size_t count, size_t size) {
    size_t bytes;
    void *at;

    if (arena->memory == NULL || __builtin_mul_overflow(count, size, &bytes) ||
        bytes > arena->size - arena->used || ma_arena_round(bytes) > arena->size - arena->used) {
        return NULL;
    }
    at = arena->memory + arena->used;
    arena->used += ma_arena_round(bytes);
    return at;
}
