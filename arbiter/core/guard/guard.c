/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guard.c - the last word on every plan.
 *
 * Policies are experiments; this is not. A policy may propose anything, including nonsense from an overflow or from a
 * guest that lies; what leaves here is safe to carry out in part, cut off anywhere:
 *
 *   I1  no victim is `never`, held, stale, in motion, of bad metadata, exempt, or of a group that does not go whole
 *   I2  no balloon below max(guarantee, use and margin), none moved that is absent, inhibited or uncooperative; no
 *       virtio-mem unplugged below the same
 *   I3  after every prefix no short row is shorter and no other has crossed its soft watermark
 *   I4  at most one victim (or group) is armed, and none while another's memory is on its way
 *   I5  an action above the armed rung, of a disarmed rung, beyond the breaker's limits, in quiet time or on one
 *       sample is shown and not armed
 *   I6  a victim stands in a plan only where ram or a node is critical and the gentle options, worked out here once
 *       more, cannot cover what is short, and victims help there
 *
 * What an action frees is computed here, never taken from the proposal. Trimming rather than refusing the whole plan:
 * one bad action must not freeze the host. Each change leaves a trim with its reason. Reordering leaves none. */
#include "guard.h"

#include <string.h>

#include "bytes.h"
#include "guard-internal.h"

/* Two arrays of all actions (order keys and a copy), one flag and one mask per entry. */
size_t ma_guard_memory_size(size_t max_guests) {
    size_t n_actions = 2 * max_guests + 16;

    return ma_study_memory_size(max_guests) +
           ma_arena_round(n_actions * sizeof(struct ma_plan_action)) +
           ma_arena_round(n_actions * 4 * sizeof(uint64_t)) + 2 * ma_arena_round(n_actions) +
           ma_arena_round(max_guests * sizeof(uint32_t)) +
           ma_arena_round(max_guests * sizeof(uint64_t));
}

void ma_guard_note(struct ma_guard *guard,
                   const struct ma_plan_action *action,
                   enum ma_reason reason,
                   uint64_t granted_bytes) {
    struct ma_trim *trim = ma_plan_add_trim(guard->plan);

    guard->n_trims++;
    if (trim == NULL) {
        return;
    }
    trim->has_guest = action->has_guest && action->guest < guard->input->snapshot->n_guests;
    trim->guest = trim->has_guest ? action->guest : 0;
    trim->action = action->action;
    trim->reason = reason;
    trim->proposed_bytes = action->to_bytes;
    trim->granted_bytes = granted_bytes;
}

static bool refuse(struct ma_guard *guard, struct ma_plan_action *action, enum ma_reason reason) {
    ma_guard_note(guard, action, reason, 0);
    return false;
}

/* A shutdown that is given up at once, for memory would be exhausted before its end, would make room for the next victim a
 * second later (P4). */
static bool
is_in_time(const struct ma_guard *guard, const struct ma_facts *facts, enum ma_action action) {
    struct ma_options_context context = {.need = &guard->study.need};

    return ma_options_victim_is_possible(&context, facts, action);
}

static bool admit_victim(struct ma_guard *guard, struct ma_plan_action *action) {
    const struct ma_facts *facts = &guard->study.facts[action->guest];
    const uint32_t victims = MA_ACTION_BIT(MA_ACTION_PAUSE) | MA_ACTION_BIT(MA_ACTION_SAVE) |
                             MA_ACTION_BIT(MA_ACTION_SHUTDOWN) | MA_ACTION_BIT(MA_ACTION_KILL);
    bool is_running = facts->guest->state == MA_GUEST_RUNNING;

    if (facts->victim_reason != MA_REASON_NONE) {
        return refuse(guard, action, facts->victim_reason);
    }
    if ((facts->actions & MA_ACTION_BIT(action->action)) == 0 ||
        (guard->seen_actions[action->guest] & victims) != 0) {
        return refuse(guard, action, MA_REASON_NO_ACTION_ALLOWED);
    }
    if (!is_running &&
        (action->action == MA_ACTION_PAUSE || action->action == MA_ACTION_SHUTDOWN)) {
        return refuse(guard, action, MA_REASON_IN_FLIGHT);
    }
    if (!is_in_time(guard, facts, action->action)) {
        return refuse(guard, action, MA_REASON_NO_ACTION_ALLOWED);
    }
    action->has_from_to = false;
    action->to_bytes = 0;
    action->has_frees = true;
    ma_frees_of_victim(guard->plan, &guard->study.need, facts, action->action, &action->frees);
    /* How long P4 waits is not the policy's to say. */
    action->deadline_usec = ma_options_deadline_usec(facts, action->action, 0);
    return true;
}

static bool admit_resume(struct ma_guard *guard, struct ma_plan_action *action) {
    const struct ma_facts *facts = &guard->study.facts[action->guest];

    if (facts->hold_reason != MA_REASON_NONE) {
        return refuse(guard, action, facts->hold_reason);
    }
    if (!facts->is_paused_by_us) {
        return refuse(guard, action, MA_REASON_PAUSED_BY_OPERATOR);
    }
    action->has_from_to = false;
    action->has_frees = false;
    return true;
}

static bool admit_on_guest(struct ma_guard *guard, struct ma_plan_action *action) {
    switch (action->action) {
    case MA_ACTION_BALLOON:
        return ma_guard_admit_balloon(guard, action);
    case MA_ACTION_RESIZE:
        return ma_guard_admit_resize(guard, action);
    case MA_ACTION_RECLAIM:
        return ma_guard_admit_reclaim(guard, action);
    case MA_ACTION_PAUSE:
    case MA_ACTION_SAVE:
    case MA_ACTION_SHUTDOWN:
    case MA_ACTION_KILL:
        return admit_victim(guard, action);
    case MA_ACTION_RESUME:
        return admit_resume(guard, action);
    case MA_ACTION_REBALANCE:
        return ma_guard_admit_rebalance(guard, action);
    case MA_ACTION_CAP:
    case MA_ACTION_MEMLOCK:
    case MA_ACTION_OOM_ADJ:
    case MA_ACTION_EXHAUSTED:
    case MA_ACTION_COUNT:
        break;
    }
    return refuse(guard, action, MA_REASON_NO_ACTION_ALLOWED);
}

bool ma_guard_admit(struct ma_guard *guard, struct ma_plan_action *action) {
    bool is_known = (unsigned) action->action < MA_ACTION_COUNT;
    uint32_t bit;

    if (!is_known) {
        action->action = MA_ACTION_EXHAUSTED;
        return refuse(guard, action, MA_REASON_NO_ACTION_ALLOWED);
    }
    if (action->action == MA_ACTION_EXHAUSTED && !action->has_guest) {
        action->has_frees = false;
        action->has_from_to = false;
        return guard->plan->pressure == MA_PRESSURE_CRITICAL ||
               refuse(guard, action, MA_REASON_GENTLE_SUFFICES);
    }
    if (!action->has_guest || action->guest >= guard->input->snapshot->n_guests) {
        return refuse(guard, action, MA_REASON_MISSING_FIGURES);
    }
    bit = MA_ACTION_BIT(action->action);
    if ((guard->seen_actions[action->guest] & bit) != 0) {
        return refuse(guard, action, MA_REASON_IN_FLIGHT);
    }
    if (!admit_on_guest(guard, action)) {
        return false;
    }
    guard->seen_actions[action->guest] |= bit;
    return true;
}

void ma_guard_compact(struct ma_guard *guard, const bool *keep) {
    struct ma_plan *plan = guard->plan;
    size_t kept = 0;

    for (size_t k = 0; k < plan->n_actions; k++) {
        if (keep[k]) {
            if (kept != k) {
                plan->actions[kept] = plan->actions[k];
            }
            kept++;
        }
    }
    plan->n_actions = kept;
}

static int begin(struct ma_guard *guard) {
    const struct ma_snapshot *snapshot = guard->input->snapshot;
    struct ma_amounts deficits = guard->plan->deficits;
    int r = ma_study_begin(&guard->study, guard->input, guard->plan);

    guard->plan->deficits = deficits;
    if (r < 0) {
        return r;
    }
    guard->seen_actions =
        ma_arena_take(&guard->study.arena, snapshot->n_guests, sizeof(*guard->seen_actions));
    if (guard->seen_actions == NULL) {
        return -1;
    }
    memset(guard->seen_actions, 0, snapshot->n_guests * sizeof(*guard->seen_actions));
    return 0;
}

size_t
ma_guard_apply(const struct ma_policy_input *input, bool is_single_snapshot, struct ma_plan *plan) {
    struct ma_guard guard = {
        .input = input, .is_single_snapshot = is_single_snapshot, .plan = plan};
    bool *keep;

    if (plan->n_actions > plan->max_actions) {
        plan->n_actions = plan->max_actions;
    }
    if (plan->n_actions == 0) {
        return 0;
    }
    if (begin(&guard) < 0 ||
        (keep = ma_arena_take(&guard.study.arena, plan->n_actions, sizeof(*keep))) == NULL) {
        plan->n_actions = 0; /* what cannot be checked is not done */
        return 0;
    }
    for (size_t k = 0; k < plan->n_actions; k++) {
        keep[k] = ma_guard_admit(&guard, &plan->actions[k]);
    }
    ma_guard_compact(&guard, keep);
    ma_guard_victims(&guard);
    if (ma_guard_order(&guard) < 0) {
        plan->n_actions = 0;
        return guard.n_trims;
    }
    ma_guard_arm(&guard);
    ma_guard_prefixes(&guard);
    return guard.n_trims;
}
