/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* hook.h - the operator's program that hears of a coming squeeze: one at a time, killed at its deadline. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "session.h"

/* The hook asks for the guest to be spared (EX_TEMPFAIL). */
#define MAG_HOOK_VETO_STATUS 75

struct mag_hook_runner {
    const char *path; /* borrowed; NULL: none */
    pid_t pid;        /* 0: none runs; else leader of its own process group */
    bool is_killed;
    struct mag_squeeze squeeze; /* of the one that runs */
    bool has_next;
    struct mag_squeeze next; /* waits for it; a newer one takes its place */
};

/* Whether `path` may be run: a regular executable file that only root or this user may write. -errno. */
int mag_hook_check(const char *path);
/* Starts it, or keeps the squeeze until the one that runs has ended. 0, -ETIME: its deadline has
 * passed, or -errno: it could not be started. */
int mag_hook_announce(struct mag_hook_runner *h,
                      const struct mag_squeeze *squeeze,
                      uint64_t now_usec);
/* Kills it (its process group) when its deadline has passed. */
void mag_hook_on_time(struct mag_hook_runner *h, uint64_t now_usec);
/* After SIGCHLD: true when the hook ended; *ret_id and *ret_outcome say of which squeeze and how. */
bool mag_hook_on_child(struct mag_hook_runner *h, uint64_t *ret_id, enum mag_hook *ret_outcome);
/* The squeeze that waited for the one that ended: announce it now. */
bool mag_hook_take_next(struct mag_hook_runner *h, struct mag_squeeze *ret);
/* Deadline of the one that runs; UINT64_MAX: none. */
uint64_t mag_hook_next_usec(const struct mag_hook_runner *h);
/* Kills what runs, without waiting. */
void mag_hook_stop(struct mag_hook_runner *h);
