/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* last-resort.h - runs OnExhausted='s program, or panics the host, on a thread of its own: starting a process and
 * waiting for it take time that the loop has not. */

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct ma_last_resort;
struct ma_writer;

#define MA_LAST_RESORT_PATH_MAX 1024

enum ma_last_resort_kind { MA_LAST_RESORT_COMMAND, MA_LAST_RESORT_PANIC };
struct ma_last_resort_order {
    enum ma_last_resort_kind kind;
    char command[MA_LAST_RESORT_PATH_MAX]; /* run without arguments and without a shell */
    uint64_t timeout_usec;                 /* then it and what it started are killed */
    int trigger_fd;                        /* panic: "c" is written there. Taken */
    /* the command's environment: MEMARB_AVAILABLE_BYTES and so on, memarb.conf(5) */
    uint64_t available_bytes;
    uint64_t missing_bytes;
    uint64_t incident_usec;
    uint64_t guests;
};
struct ma_last_resort_result {
    enum ma_last_resort_kind kind;
    int error;       /* negative errno: it could not be started, or written */
    int exit_status; /* of the command, as waitpid() gives it */
    bool is_timeout;
    uint64_t took_usec;
};

/* writer: what is being recorded gets 2 s to reach the disk before a panic. Outlives this. */
int ma_last_resort_create(struct ma_writer *writer,
                          struct ma_last_resort **ret,
                          struct ma_err *err);
/* A command that runs goes on without us. NULL is fine. */
void ma_last_resort_destroy(struct ma_last_resort *resort);
/* Readable while a result waits. */
int ma_last_resort_fd(const struct ma_last_resort *resort);
/* Never waits. -EBUSY: the one before has not ended. */
int ma_last_resort_submit(struct ma_last_resort *resort, const struct ma_last_resort_order *order);
bool ma_last_resort_pop(struct ma_last_resort *resort, struct ma_last_resort_result *ret);
