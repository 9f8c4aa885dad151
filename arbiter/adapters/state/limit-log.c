/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* limit-log.c - see the header.
 *
 * A place is taken once its pid stands, which is stored last, and an entry is memarb's once is_ours stands, likewise: a
 * process that is killed in the middle leaves what nobody owes. A store to an entry that is memarb's already changes
 * `prev` before `ours`, so that one of the two is what the limit is (core/limits/limit.c looks for both). The kernel keeps the pages
 * of a tmpfs file when the process goes; what a power failure leaves is of no interest, for the guests are gone. */
#include "limit-log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mapped-file.h"

/* Too few: guests beyond it get no limits; too many: 0.5 KiB of tmpfs each. Four times MaxGuests='s default. */
#define PLACES 4096U
#define MAGIC  UINT64_C(0x32676f6c6d696c6d) /* "mlimlog2" */

struct layout {
    uint64_t magic;
    uint64_t record_size;
    struct ma_limit_record records[PLACES];
};
struct ma_limit_log {
    struct layout *map;
};

int ma_limit_log_open(const char *path, struct ma_limit_log **ret, struct ma_err *err) {
    static const uint64_t head[] = {MAGIC, sizeof(struct ma_limit_record)};
    struct ma_limit_log *log = calloc(1, sizeof(*log));
    void *map = NULL;
    int r = log == NULL ? -ENOMEM : ma_mapped_file_open(path, sizeof(struct layout), head, 2, &map);
    if (r < 0) {
        free(log);
        return ma_err_set(err, r, "cannot open the log of limits %s: %s", path, strerror(-r));
    }
    log->map = map;
    *ret = log;
    return 0;
}

void ma_limit_log_close(struct ma_limit_log *log) {
    if (log != NULL) {
        (void) munmap(log->map, sizeof(*log->map));
        free(log);
    }
}

struct ma_limit_record *
ma_limit_log_find(struct ma_limit_log *log, const char *uuid, uint64_t pid, uint64_t start_ticks) {
    for (size_t i = 0; i < PLACES; i++) {
        struct ma_limit_record *r = &log->map->records[i];
        if (r->pid == pid && r->start_ticks == start_ticks &&
            strncmp(r->uuid, uuid, sizeof(r->uuid)) == 0) {
            return r;
        }
    }
    return NULL;
}

struct ma_limit_record *
ma_limit_log_get(struct ma_limit_log *log, const char *uuid, uint64_t pid, uint64_t start_ticks) {
    struct ma_limit_record *r = ma_limit_log_find(log, uuid, pid, start_ticks);
    for (size_t i = 0; r == NULL && i < PLACES; i++) {
        struct ma_limit_record *place = &log->map->records[i];
        if (place->pid == 0) {
            memset(place, 0, sizeof(*place));
            (void) snprintf(place->uuid, sizeof(place->uuid), "%s", uuid);
            place->start_ticks = start_ticks;
            atomic_signal_fence(memory_order_seq_cst);
            place->pid = pid;
            r = place;
        }
    }
    return r;
}

void ma_limit_log_drop(struct ma_limit_record *record) {
    if (record != NULL) {
        record->pid = 0;
    }
}

struct ma_limit_record *ma_limit_log_next(struct ma_limit_log *log,
                                          const struct ma_limit_record *after) {
    size_t i = after == NULL ? 0 : (size_t) (after - log->map->records) + 1;
    for (; i < PLACES; i++) {
        if (log->map->records[i].pid != 0) {
            return &log->map->records[i];
        }
    }
    return NULL;
}

void ma_limit_log_note(struct ma_limit_record *record,
                       enum ma_limit limit,
                       const struct ma_limit_entry *entry) {
    struct ma_limit_entry *to = &record->entries[limit];
    if (!entry->is_ours) {
        to->is_ours = false;
        atomic_signal_fence(memory_order_seq_cst);
    }
    to->is_left = entry->is_left;
    to->before = entry->before;
    to->set_usec = entry->set_usec;
    to->prev = entry->prev;
    atomic_signal_fence(memory_order_seq_cst);
    to->ours = entry->ours;
    atomic_signal_fence(memory_order_seq_cst);
    to->is_ours = entry->is_ours;
}
