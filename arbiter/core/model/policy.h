/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* policy.h - what a policy is: a pure function from figures and memory to a proposal. It may propose anything; the
 * guard (guard.h) enforces the promises on whatever it says. */

#include <stdbool.h>
#include <stddef.h>

#include "plan.h"
#include "state.h"

/* Scratch memory of one decision, brought by the caller, sized for a number of guests. */
struct ma_scratch {
    void *memory;
    size_t bytes;
};
/* Enough for every policy and the planner at that many guests. */
size_t ma_scratch_size(size_t max_guests);

struct ma_facts;
struct ma_groups;
struct ma_need;
struct ma_policy_input {
    const struct ma_snapshot *snapshot; /* settings resolved */
    const struct ma_state *state;       /* after ma_decide's observation of this snapshot */
    struct ma_scratch scratch;
    /* Facts of all guests, their groups and what is short, worked out by ma_decide() for the policy and the guard alike;
     * NULL, all three: not yet. */
    const struct ma_facts *facts;
    const struct ma_groups *groups;
    const struct ma_need *need;
};

struct ma_policy {
    const char *name;    /* "balanced" */
    const char *summary; /* one line */
    const char *source;  /* where its rules come from; NULL: our own */
    /* What another program would do, for comparison: memarbd shows its plans and takes none. */
    bool is_reference;
    /* Fills plan: rows, row_pressure, pressure, measured_deficit_bytes and settings are set already; the policy
     * sets deficits, candidates, options, actions, certificate, uncovered*. 0 or negative errno (then the cycle
     * holds). */
    int (*propose)(const struct ma_policy_input *input, struct ma_plan *plan);
};

/* policies/registry.c: the static table. */
const struct ma_policy *ma_policy_find(const char *name);
const struct ma_policy *ma_policy_at(size_t index); /* NULL beyond the last */
