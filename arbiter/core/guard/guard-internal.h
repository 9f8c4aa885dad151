/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* guard-internal.h - what the guard's parts share. */

#include "guard.h"
#include "study.h"

struct ma_guard {
    const struct ma_policy_input *input;
    bool is_single_snapshot;
    struct ma_plan *plan;
    /* facts, need and groups of its own: nothing of the policy's is trusted */
    struct ma_study study;
    uint32_t *seen_actions; /* per guest: MA_ACTION_BIT()s kept so far */
    size_t n_trims;
};

void ma_guard_note(struct ma_guard *guard,
                   const struct ma_plan_action *action,
                   enum ma_reason reason,
                   uint64_t granted_bytes);
/* Rewrites the action within its bounds; false: out. Notes what it changed. */
bool ma_guard_admit(struct ma_guard *guard, struct ma_plan_action *action);
bool ma_guard_admit_balloon(struct ma_guard *guard, struct ma_plan_action *action);
bool ma_guard_admit_resize(struct ma_guard *guard, struct ma_plan_action *action);
bool ma_guard_admit_reclaim(struct ma_guard *guard, struct ma_plan_action *action);
bool ma_guard_admit_rebalance(struct ma_guard *guard, struct ma_plan_action *action);
/* Takes out victims that are not needed (P14) or whose group does not go whole. */
void ma_guard_victims(struct ma_guard *guard);
/* Can gentle options alone cover what is critically short, as far as the plan's victims help it? True when nothing is. */
bool ma_guard_gentle_suffices(struct ma_guard *guard);
/* Frees first, quick ones first; then victims, group by group; then what gives back. 0 or -ENOSPC. */
int ma_guard_order(struct ma_guard *guard);
/* P11, P12, P13, P4: sets is_armed and withheld_because of all. */
void ma_guard_arm(struct ma_guard *guard);
/* P3 on every prefix: cuts what consumes. */
void ma_guard_prefixes(struct ma_guard *guard);
/* Key of the victim that the action belongs to: its group's first member, or the guest itself. */
uint32_t ma_guard_cluster(const struct ma_guard *guard, uint32_t guest);
/* Does the reclaim belong to a victim of this plan (pause, then page out)? */
bool ma_guard_is_paired_reclaim(const struct ma_guard *guard, const struct ma_plan_action *action);
/* Keeps the actions for which keep[] is set. */
void ma_guard_compact(struct ma_guard *guard, const bool *keep);

size_t ma_guard_memory_size(size_t max_guests);
