/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* hooks.h - runs the operator's programs before and after actions ([Hooks]), on a thread of its own. Orders go in,
 * what went wrong and what was vetoed comes out. The environment of a hook is documented in memarb.conf(5).
 *
 * What is bounded: MA_HOOK_RUNS_TOLD orders run at once, and beside them MA_HOOK_RUNS_ASKED of those that an action waits
 * for, each one program at a time in the order of their names; MA_HOOK_QUEUE wait, more are refused. Orders of one guest
 * run one after another, so that `after` follows `before`. */

#include <stdbool.h>
#include <stdint.h>

#include "actuator.h"
#include "err.h"
#include "guest-source.h"
#include "hook-files.h"
#include "reason.h"
#include "settings.h"
#include "state.h"

/* Processes of told orders at once. Too few: a slow hook holds up those of other guests; too many: a host that is short
 * pays for them. Guess. */
#define MA_HOOK_RUNS_TOLD  4
#define MA_HOOK_RUNS_ASKED (2 * MA_VICTIM_MEMBERS_MAX)
/* A squeeze moves the balloons of all guests at once. More than this waits for nobody: a hook minutes late is worth
 * nothing, and memory is short. Guess. */
#define MA_HOOK_QUEUE 256
/* A hook's exit status that says no (EX_TEMPFAIL of sysexits.h). No shell, interpreter or loader ends with it by
 * accident, as they do with 1, 2, 126 and 127. */
#define MA_HOOK_EXIT_VETO 75

struct ma_hooks;

struct ma_hook_order {
    uint64_t ask;  /* an action waits, and its verdict carries this number; 0: nobody waits */
    bool is_heard; /* nobody waits, and a no is told all the same */
    bool is_after;
    enum ma_action action;
    char uuid[MA_UUID_MAX];
    char name[MA_SOURCE_NAME_MAX]; /* the guest's own word */
    enum ma_reason reason;
    bool has_from_to;
    uint64_t from_bytes, to_bytes;
    enum ma_pressure pressure;
    uint64_t available_bytes; /* of the host */
    uint64_t timeout_usec;    /* for all programs together, from the start of the first */
    /* after */
    enum ma_outcome_result result;
    uint64_t took_usec;
};
enum ma_hook_end {
    MA_HOOK_AGREED,      /* verdict: nobody said no */
    MA_HOOK_VETO,        /* verdict; without `ask` a no that came behind its action */
    MA_HOOK_STATUS,      /* failed: value is the exit status */
    MA_HOOK_SIGNAL,      /* failed: value is the signal */
    MA_HOOK_TIMEOUT,     /* killed at the deadline; the programs behind it were left out */
    MA_HOOK_NOT_STARTED, /* value is the negative errno */
    MA_HOOK_NO_FOLDER,   /* likewise; none of them was run */
};
struct ma_hook_result {
    /* of the order `ask`: each has one, whatever happens, at its deadline at the latest */
    bool is_verdict;
    uint64_t ask;
    enum ma_hook_end end;
    int value;
    char hook[MA_HOOK_NAME_MAX]; /* whose end it is; "": nobody's */
    bool is_after;
    enum ma_action action;
    char uuid[MA_UUID_MAX];
};

int ma_hooks_create(const char *directory, struct ma_hooks **ret, struct ma_err *err);
/* Lets what was ordered end, for two seconds; then kills. NULL is fine. */
void ma_hooks_destroy(struct ma_hooks *hooks);
/* From the next order on. -ENAMETOOLONG */
int ma_hooks_set_directory(struct ma_hooks *hooks, const char *directory);
/* Readable while a result waits, and now and then once more: then nothing is popped. */
int ma_hooks_fd(const struct ma_hooks *hooks);
/* Copies the order; never waits, allocates nothing. -EBUSY: too many already. */
int ma_hooks_submit(struct ma_hooks *hooks, const struct ma_hook_order *order);
bool ma_hooks_pop(struct ma_hooks *hooks, struct ma_hook_result *ret);
/* Orders refused and results that nobody fetched in time, so far. */
uint64_t ma_hooks_lost(const struct ma_hooks *hooks);
