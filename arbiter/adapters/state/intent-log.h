/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* intent-log.h - what is about to be done, put where it outlives this process before it is done (P6, P7).
 *
 * A fixed ring in a memory-mapped file under /run (tmpfs): writing an intent is a store to locked memory, no system
 * call, no allocation, nobody to wait for, so it may stand on the path between a pressure event and the command on
 * the wire. The state file (state-file.h) is written after the commands; a process killed between the two finds the
 * missing part here. */

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "err.h"
#include "reason.h"
#include "snapshot.h"
#include "state.h"

struct ma_intent {
    uint64_t seq; /* 1, 2, ...; 0: an empty slot */
    uint64_t realtime_usec;
    uint64_t monotonic_usec;
    char uuid[MA_UUID_MAX];
    uint32_t action; /* enum ma_action */
    uint32_t reason; /* enum ma_reason */
    uint64_t from_bytes;
    uint64_t to_bytes;
    /* what the ledger held for that guest once this was taken */
    uint32_t taken;
    uint32_t reserved;
    uint64_t balloon_before_bytes;
    uint64_t resize_before_bytes;
};

struct ma_intent_log;

/* Opens or makes the ring. A file of another size or layout is set aside as PATH.bad and made anew. */
int ma_intent_log_open(const char *path, struct ma_intent_log **ret, struct ma_err *err);
void ma_intent_log_close(struct ma_intent_log *log);

/* Copies *intent in and gives it the next number, which is returned. Loop thread only. */
uint64_t ma_intent_log_put(struct ma_intent_log *log, const struct ma_intent *intent);
uint64_t ma_intent_log_last(const struct ma_intent_log *log);
/* Calls fn for each intact intent with seq > after, oldest first. */
void ma_intent_log_replay(const struct ma_intent_log *log,
                          uint64_t after,
                          void (*fn)(void *userdata, const struct ma_intent *intent),
                          void *userdata);
