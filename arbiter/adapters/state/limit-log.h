/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* limit-log.h - which limits of which processes are memarb's, and what they were before: noted before each is set, in a
 * file that outlives this process (P6, P7).
 *
 * A mapped file of fixed places, one for each limited process: a note is a store to memory, no system call. It is the
 * whole ledger of limits by itself; the state file knows nothing of them. Loop thread only. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "limit.h"
#include "state.h"

struct ma_limit_record {
    char uuid[MA_UUID_MAX];
    uint64_t pid;                 /* 0: a free place */
    uint64_t start_ticks;         /* with the pid: this very process */
    uint64_t memlock_soft_before; /* entries[MA_LIMIT_MEMLOCK].before may be the hard limit */
    struct ma_limit_entry entries[MA_LIMIT_COUNT];
};

struct ma_limit_log;

/* Opens or makes the file. One of another size or layout is set aside as PATH.bad and made anew. */
int ma_limit_log_open(const char *path, struct ma_limit_log **ret, struct ma_err *err);
void ma_limit_log_close(struct ma_limit_log *log); /* NULL is fine */

/* The process's place, made if needed; NULL: all are taken. Stays where it is until it is dropped. */
struct ma_limit_record *
ma_limit_log_get(struct ma_limit_log *log, const char *uuid, uint64_t pid, uint64_t start_ticks);
/* The process's place, or NULL. */
struct ma_limit_record *
ma_limit_log_find(struct ma_limit_log *log, const char *uuid, uint64_t pid, uint64_t start_ticks);
void ma_limit_log_drop(struct ma_limit_record *record); /* NULL is fine */
/* The next taken place behind `after` (NULL: the first), or NULL. */
struct ma_limit_record *ma_limit_log_next(struct ma_limit_log *log,
                                          const struct ma_limit_record *after);
/* Stores an entry in an order that a kill at any moment leaves either the old or the new one in force. */
void ma_limit_log_note(struct ma_limit_record *record,
                       enum ma_limit limit,
                       const struct ma_limit_entry *entry);
