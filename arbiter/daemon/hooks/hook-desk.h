/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* hook-desk.h - what the loop keeps for [Hooks]: actions that wait for their hooks' word, and telling the others'.
 *
 *  H1  a gentle action never waits: its hooks are told behind the wire (P10)
 *  H2  a victim's waits where Veto= names it, VetoTimeout= at most; without an answer by then it is taken
 *  H3  taken or not, the need is read again just before (P13), and so are arming, holds and the guest's being there
 *  H4  a veto holds the guest (and its group, which goes together or not at all) for VetoHold=
 *  H5  in a dry run nothing is run (P8)
 *  H6  a no to a gentle action that Veto= names comes behind the wire: the next plan may stop what is under way (as for a
 *      veto of the guest's own), and from then on the guest is held for VetoHold=, counted from the no */

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "hooks.h"
#include "plan.h"

struct ma_daemon;

/* A group's members, and what goes with each (a pause and a reclaim). */
#define MA_HOOK_ASKS_MAX (2 * MA_VICTIM_MEMBERS_MAX)

struct ma_hook_ask {
    char uuid[MA_UUID_MAX];
    struct ma_plan_action action; /* `guest` is of the snapshot that it was planned on */
    uint64_t id; /* 0: goes with another action on its guest and is not asked for */
    bool is_answered;
    bool is_vetoed;
    char by[MA_HOOK_NAME_MAX];
};
struct ma_hook_desk {
    struct ma_hooks *hooks; /* NULL: not needed so far */
    struct ma_hook_ask asks[MA_HOOK_ASKS_MAX];
    size_t n_asks;
    uint64_t deadline_usec; /* of all of them */
    uint64_t asked_seq;     /* of the plan that they are of */
    struct ma_plan plan;    /* its needs; without actions, candidates, options */
    struct ma_plan_action leaving[MA_HOOK_ASKS_MAX]; /* its actions, once they do */
    uint64_t next_id;
    uint64_t told_usec; /* failures told since then */
    uint32_t n_told;
    uint64_t n_untold;
    uint64_t lost_told;
    uint64_t objected_seq; /* the last decision that some guest's hold waits for; 0: none */
};

/* The folder is there and safe, or *err says why not; at start and before a reload. Files that are left out are told. */
int ma_hook_desk_prepare(struct ma_daemon *d, const struct ma_config *config, struct ma_err *err);
/* The new configuration is in force. */
void ma_hook_desk_adopt(struct ma_daemon *d);
void ma_hook_desk_teardown(struct ma_daemon *d);
/* An armed action of d->plan on its way out: 0: take it; 1: it waits for its hooks and is taken later or dropped;
 * -EALREADY: others wait already, plan it again. Allocates nothing, waits for nobody. */
int ma_hook_desk_defer(struct ma_daemon *d, const struct ma_plan_action *action, uint64_t now_usec);
/* Behind the wire: it was taken. */
void ma_hook_desk_tell_before(struct ma_daemon *d, const struct ma_plan_action *action);
void ma_hook_desk_tell_after(struct ma_daemon *d, const struct ma_outcome *outcome);
/* Each cycle: who waits too long is not waited for, whatever became of the hooks' thread. */
void ma_hook_desk_step(struct ma_daemon *d, uint64_t now_usec);
