/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* intent-log.c - a ring of fixed slots in a shared mapping.
 *
 * A slot is valid when both its numbers agree: `seq` is cleared before the body is written and set after it, with
 * release order, so a process killed in the middle of a store leaves a slot that reads as empty, never half an
 * intent. The kernel keeps the pages of a tmpfs file when the process goes. */

#include "intent-log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mapped-file.h"

/* Too few: a burst wraps before the state file is written (one plan touches each guest once or twice; the file is
 * written after each plan, so one plan must fit: 16384 guests never act in one cycle on the QMP path in practice,
 * and the oldest are lost first). Too many: locked memory. 4096 slots are 0.7 MiB. */
#define SLOTS 4096U
#define MAGIC UINT64_C(0x31676f6c6962616d) /* "mabilog1" */

struct slot {
    _Atomic uint64_t seq;
    struct ma_intent intent;
};
struct layout {
    uint64_t magic;
    uint64_t slot_size;
    uint64_t n_slots;
    struct slot slots[SLOTS];
};
struct ma_intent_log {
    struct layout *map;
    uint64_t last;
};

static uint64_t slot_seq(const struct slot *slot) {
    uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_acquire);
    return seq == slot->intent.seq ? seq : 0;
}

int ma_intent_log_open(const char *path, struct ma_intent_log **ret, struct ma_err *err) {
    static const uint64_t head[] = {MAGIC, sizeof(struct slot), SLOTS};
    struct ma_intent_log *log = calloc(1, sizeof(*log));
    void *memory = NULL;
    int r =
        log == NULL ? -ENOMEM : ma_mapped_file_open(path, sizeof(struct layout), head, 3, &memory);
    if (r < 0) {
        free(log);
        return ma_err_set(err, r, "cannot open the intent log %s: %s", path, strerror(-r));
    }
    struct layout *map = memory;
    /* Not locked: still right, only slower when the host is short. The daemon reports its own mlockall. */
    (void) mlock(map, sizeof(*map));
    log->map = map;
    for (size_t i = 0; i < SLOTS; i++) {
        uint64_t seq = slot_seq(&map->slots[i]);
        /* a number that does not belong into its slot is damage, not history */
        if (seq % SLOTS == i && seq > log->last) {
            log->last = seq;
        }
    }
    *ret = log;
    return 0;
}

void ma_intent_log_close(struct ma_intent_log *log) {
    if (log != NULL) {
        (void) munmap(log->map, sizeof(*log->map));
        free(log);
    }
}

uint64_t ma_intent_log_put(struct ma_intent_log *log, const struct ma_intent *intent) {
    uint64_t seq = log->last + 1;
    struct slot *slot = &log->map->slots[seq % SLOTS];
    atomic_store_explicit(&slot->seq, 0, memory_order_release);
    slot->intent = *intent;
    slot->intent.seq = seq;
    atomic_store_explicit(&slot->seq, seq, memory_order_release);
    log->last = seq;
    return seq;
}

uint64_t ma_intent_log_last(const struct ma_intent_log *log) {
    return log->last;
}

void ma_intent_log_replay(const struct ma_intent_log *log,
                          uint64_t after,
                          void (*fn)(void *userdata, const struct ma_intent *intent),
                          void *userdata) {
    uint64_t first = log->last >= SLOTS ? log->last - SLOTS + 1 : 1;
    for (uint64_t seq = ma_max_u64(first, after + 1); seq <= log->last; seq++) {
        const struct slot *slot = &log->map->slots[seq % SLOTS];
        if (slot_seq(slot) == seq) {
            struct ma_intent copy = slot->intent;
            copy.uuid[MA_UUID_MAX - 1] = '\0'; /* the file may be anybody's bytes */
            fn(userdata, &copy);
        }
    }
}
