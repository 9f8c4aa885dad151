/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* observe-walk.c - where a balloon stood in the last seconds.
 *
 * A guest's word is seconds old and speaks of the balloon of its own moment; the balloon has moved a gigabyte since. Read
 * against today's figure, or the last snapshot's, the word of a guest that idles says that it used less and then, with its
 * next word, that its use rises by what was just taken from it: it would be short because it was squeezed, be given
 * back what it never used, and be squeezed again (simulated: a third of all turns).
 *
 * Kept are figures at least a second apart while the balloon moves, and after that until all of them are the same; between two
 * of them it went in a straight line.
 *
 *   I1  a balloon at rest is remembered by its last figure alone
 *   I2  a time before the oldest figure has the oldest figure */
#include <string.h>

#include "bytes.h"
#include "observe.h"

/* Too small: eight of them do not reach back to an old word; too large: a balloon that started or stopped in between is
 * thought to have crept. Words are up to 4 s old, of a busy host 8 s. */
#define WALK_STEP_USEC MA_USEC_PER_SEC

static size_t walk_length(const struct ma_guest_memory *memory) {
    size_t n = 0;

    while (n < MA_WALK_MAX && memory->walk_usec[n] != 0) {
        n++;
    }
    return n;
}

static bool is_at_rest(const struct ma_guest_memory *memory, size_t n, uint64_t actual_bytes) {
    for (size_t k = 0; k < n; k++) {
        if (memory->walk_bytes[k] != actual_bytes) {
            return false;
        }
    }
    return true;
}

static void push(struct ma_guest_memory *memory, size_t n) {
    if (n == MA_WALK_MAX) {
        memmove(&memory->walk_usec[0], &memory->walk_usec[1],
                (MA_WALK_MAX - 1) * sizeof(memory->walk_usec[0]));
        memmove(&memory->walk_bytes[0], &memory->walk_bytes[1],
                (MA_WALK_MAX - 1) * sizeof(memory->walk_bytes[0]));
        n--;
    }
    memory->walk_usec[n] = memory->seen_usec;
    memory->walk_bytes[n] = memory->last_actual_bytes;
}

void ma_walk_note(struct ma_guest_memory *memory, uint64_t actual_bytes) {
    size_t n = walk_length(memory);
    bool is_known = memory->seen_usec != 0 && memory->last_actual_bytes != 0;

    if (!is_known || (n == 0 && actual_bytes == memory->last_actual_bytes)) {
        return;
    }
    if (n == 0 || ma_sub_floor0(memory->seen_usec, memory->walk_usec[n - 1]) >= WALK_STEP_USEC) {
        push(memory, n);
        n = walk_length(memory);
    }
    if (is_at_rest(memory, n, actual_bytes)) {
        memset(memory->walk_usec, 0, sizeof(memory->walk_usec));
        memset(memory->walk_bytes, 0, sizeof(memory->walk_bytes));
    }
}

struct stand {
    uint64_t usec;
    uint64_t bytes;
};

static uint64_t between(struct stand from, struct stand to, uint64_t at_usec) {
    uint64_t distance = to.bytes > from.bytes ? to.bytes - from.bytes : from.bytes - to.bytes;
    uint64_t part =
        to.usec > from.usec ? ma_muldiv_sat(distance, at_usec - from.usec, to.usec - from.usec) : 0;

    return to.bytes > from.bytes ? from.bytes + part : from.bytes - part;
}

uint64_t ma_walk_at(const struct ma_guest_memory *memory,
                    uint64_t actual_bytes,
                    uint64_t now_usec,
                    uint64_t at_usec) {
    struct stand later = {.usec = now_usec, .bytes = actual_bytes};
    struct stand stand = {.usec = memory->seen_usec, .bytes = memory->last_actual_bytes};

    if (stand.usec == 0 || stand.bytes == 0 || stand.usec >= now_usec || at_usec >= now_usec) {
        return actual_bytes;
    }
    for (size_t n = walk_length(memory);; n--) {
        if (at_usec >= stand.usec) {
            return between(stand, later, at_usec);
        }
        if (n == 0) {
            return stand.bytes;
        }
        later = stand;
        stand = (struct stand){memory->walk_usec[n - 1], memory->walk_bytes[n - 1]};
    }
}
