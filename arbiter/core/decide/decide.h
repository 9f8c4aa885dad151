/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* decide.h - one cycle of thought: observe, propose, guard, commit. Pure: same snapshot, state and policy give the
 * same plan to the byte. */

#include "plan.h"
#include "policy.h"
#include "snapshot.h"
#include "state.h"

struct ma_decide_options {
    /* `plan --snapshot`: one snapshot is a need that stands; no quiet time, no second sample is asked for. */
    bool is_single_snapshot;
    /* Only look (dry-run, `plan` on a running daemon): the state is observed but no action is committed to it. */
    bool is_dry_run;
};

/* Decides on snapshot (settings resolved, sorted, valid: ma_snapshot_check). Updates *state: observation always,
 * armed actions as taken unless is_dry_run. Returns 0 or the policy's error (then the plan has no action). */
int ma_decide(const struct ma_snapshot *snapshot,
              const struct ma_policy *policy,
              const struct ma_decide_options *options,
              struct ma_state *state,
              struct ma_scratch scratch,
              struct ma_plan *ret_plan);

/* The premise of an action, read again just before it is carried out (P13): with `available_bytes` as the host
 * says now, is a victim still needed? Pure. */
bool ma_victim_still_needed(const struct ma_plan *plan, uint64_t available_bytes);

/* An action of the last plan was not carried out after all (refused, gone, timed out, dropped): takes its
 * commitment back out of the state. result_ok: it was done. */
void ma_state_note_outcome(struct ma_state *state,
                           const char *uuid,
                           enum ma_action action,
                           bool result_ok,
                           uint64_t now_usec);
/* An action of the last plan was not sent: an earlier one of its kind has not ended, and that is what the guest was told. */
void ma_state_note_earlier_stands(struct ma_state *state, const char *uuid, enum ma_action action);
/* The operator: `arm` clears the breaker; a resume by the operator makes a guest exempt; and what was taken but is
 * found changed by somebody else is struck from the ledger. */
void ma_state_clear_breaker(struct ma_state *state);
void ma_state_note_operator_resume(struct ma_state *state,
                                   const char *uuid,
                                   uint64_t now_usec,
                                   uint64_t exempt_usec);

/* What is owed (P6), for `release`: fills actions that give everything back (balloon to before, resume), whatever
 * the pressure, after observing the snapshot: what came back since is struck from the ledger. */
#define MA_RELEASE_POLICY "release" /* the name in such a plan */
void ma_decide_release(const struct ma_snapshot *snapshot,
                       struct ma_state *state,
                       struct ma_plan *ret_plan);
/* The same for one guest (its index in the snapshot), between two cycles: nothing is observed. */
#define MA_RELEASE_GUEST_POLICY "release-guest"
void ma_decide_release_guest(const struct ma_snapshot *snapshot,
                             uint32_t guest,
                             struct ma_state *state,
                             struct ma_plan *ret_plan);
