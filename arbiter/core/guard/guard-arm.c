/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guard-arm.c - P11, P12, P13 and P4: what of the plan may really be done now. Everything else stays in the plan with
 * the reason why it is withheld. */
#include <string.h>

#include "bytes.h"
#include "guard-internal.h"
#include "notice.h"

/* P12's default: 3 victims, or 5 % of the guests where that is more. */
#define VICTIMS_DEFAULT           3U
#define VICTIMS_DEFAULT_PERMYRIAD 500U
#define HOUR_USEC                 (UINT64_C(3600) * MA_USEC_PER_SEC)

static uint64_t victims_allowed(uint32_t configured, size_t n_guests) {
    return configured > 0
               ? configured
               : ma_max_u64(VICTIMS_DEFAULT, ma_permyriad_of(n_guests, VICTIMS_DEFAULT_PERMYRIAD));
}

static uint64_t victims_in_hour(const struct ma_state *state, uint64_t now_usec) {
    uint64_t n = 0;
    uint32_t logged =
        state->n_victims_logged < MA_VICTIM_LOG_MAX ? state->n_victims_logged : MA_VICTIM_LOG_MAX;

    for (uint32_t k = 0; k < logged; k++) {
        n += ma_sub_floor0(now_usec, state->victim_usec[k]) < HOUR_USEC;
    }
    return n;
}

enum ma_arm ma_arm_needed(enum ma_action action) {
    switch (action) {
    case MA_ACTION_PAUSE:
    case MA_ACTION_SAVE:
        return MA_ARM_PAUSE;
    case MA_ACTION_SHUTDOWN:
    case MA_ACTION_KILL:
    case MA_ACTION_EXHAUSTED:
        return MA_ARM_KILL;
    case MA_ACTION_BALLOON:
    case MA_ACTION_RESIZE:
    case MA_ACTION_RECLAIM:
    case MA_ACTION_RESUME:
    case MA_ACTION_CAP:
    case MA_ACTION_MEMLOCK:
    case MA_ACTION_OOM_ADJ:
    case MA_ACTION_REBALANCE:
    case MA_ACTION_COUNT:
        break;
    }
    return MA_ARM_RECLAIM;
}

/* What we owe goes back whatever is armed: a disarm must not leave guests paused. */
static bool is_owed(const struct ma_guard *guard, const struct ma_plan_action *action) {
    const struct ma_guest_memory *memory =
        action->has_guest ? guard->study.facts[action->guest].memory : NULL;

    if (memory == NULL) {
        return false;
    }
    if (action->action == MA_ACTION_RESUME) {
        return (memory->taken & MA_TAKEN_PAUSE) != 0;
    }
    if (action->action == MA_ACTION_BALLOON) {
        return (memory->taken & MA_TAKEN_BALLOON) != 0 && action->to_bytes > action->from_bytes;
    }
    return action->action == MA_ACTION_RESIZE && (memory->taken & MA_TAKEN_RESIZE) != 0 &&
           action->to_bytes > action->from_bytes;
}

static enum ma_reason quiet_reason(const struct ma_policy_input *input) {
    const struct ma_state *state = input->state;
    uint64_t now = input->snapshot->taken_at_usec;
    uint64_t quiet = input->snapshot->settings.quiet_usec;

    if (state->started_usec != 0 && ma_sub_floor0(now, state->started_usec) < quiet) {
        return MA_REASON_QUIET_TIME;
    }
    if (state->quiet_from_usec != 0 && ma_sub_floor0(now, state->quiet_from_usec) < quiet) {
        return MA_REASON_LATE_TICK;
    }
    return MA_REASON_NONE;
}

static enum ma_reason breaker_reason(const struct ma_policy_input *input, uint64_t n_members) {
    const struct ma_state *state = input->state;
    const struct ma_snapshot *snapshot = input->snapshot;
    const struct ma_settings *settings = &snapshot->settings;

    if (state->victims_in_incident + n_members >
        victims_allowed(settings->max_victims_per_incident, snapshot->n_guests)) {
        return MA_REASON_BREAKER_INCIDENT;
    }
    if (victims_in_hour(state, snapshot->taken_at_usec) + n_members >
        victims_allowed(settings->max_victims_per_hour, snapshot->n_guests)) {
        return MA_REASON_BREAKER_HOUR;
    }
    return MA_REASON_NONE;
}

enum ma_reason
ma_guard_victim_bar(const struct ma_policy_input *input, enum ma_action action, size_t n_members) {
    enum ma_reason reason;

    if (input->snapshot->settings.arm < ma_arm_needed(action)) {
        return MA_REASON_NOT_ARMED;
    }
    if ((input->state->disarmed_actions & MA_ACTION_BIT(action)) != 0) {
        return MA_REASON_BREAKER_RETURNS;
    }
    reason = n_members > 0 ? breaker_reason(input, n_members) : MA_REASON_NONE;
    return reason != MA_REASON_NONE ? reason : quiet_reason(input);
}

static uint64_t count_members(const struct ma_guard *guard, uint32_t guest) {
    uint32_t index = guard->study.groups.group_of[guest];

    return index == MA_NO_GROUP ? 1 : guard->study.groups.groups[index].n_members;
}

static enum ma_reason victim_reason(const struct ma_guard *guard,
                                    const struct ma_plan_action *action,
                                    uint64_t n_members) {
    const struct ma_state *state = guard->input->state;
    enum ma_reason reason = ma_guard_victim_bar(guard->input, action->action, n_members);
    bool is_time_bar = reason == MA_REASON_QUIET_TIME || reason == MA_REASON_LATE_TICK;

    /* A single snapshot is taken as a need that stands: no time and no second sample is asked for. */
    if (reason != MA_REASON_NONE && !(guard->is_single_snapshot && is_time_bar)) {
        return reason;
    }
    if (!guard->is_single_snapshot && state->victim_need_count == 0) {
        return MA_REASON_ONE_SAMPLE;
    }
    return state->pending.is_pending ? MA_REASON_VICTIM_PENDING : MA_REASON_NONE;
}

static bool is_host_stale(const struct ma_snapshot *snapshot) {
    return (snapshot->host.has & MA_HOST_HAS_AGE) != 0 &&
           snapshot->host.sampled_age_usec > snapshot->settings.stale_usec;
}

static enum ma_reason withheld_reason(const struct ma_guard *guard,
                                      const struct ma_plan_action *action) {
    enum ma_arm arm = guard->input->snapshot->settings.arm;

    if (is_host_stale(guard->input->snapshot)) {
        return MA_REASON_HOST_STALE;
    }
    if (arm < ma_arm_needed(action->action) && !is_owed(guard, action)) {
        return MA_REASON_NOT_ARMED;
    }
    if (ma_action_is_victim(action->action)) {
        return victim_reason(guard, action, count_members(guard, action->guest));
    }
    if (action->action == MA_ACTION_EXHAUSTED) {
        return victim_reason(guard, action, 0);
    }
    return action->has_guest &&
                   ma_notice_is_due(guard->plan, action, guard->study.facts[action->guest].memory,
                                    guard->input->snapshot)
               ? MA_REASON_ANNOUNCED
               : MA_REASON_NONE;
}

void ma_guard_arm(struct ma_guard *guard) {
    struct ma_plan *plan = guard->plan;
    uint32_t turn = MA_NO_GROUP; /* the victim whose turn it is: the first one of the order */
    bool is_turn_armed = false;

    for (size_t k = 0; k < plan->n_actions; k++) {
        struct ma_plan_action *action = &plan->actions[k];
        bool is_victim = ma_action_is_victim(action->action);
        bool is_paired = action->has_guest && ma_guard_is_paired_reclaim(guard, action);
        uint32_t cluster =
            is_victim || is_paired ? ma_guard_cluster(guard, action->guest) : MA_NO_GROUP;

        action->withheld_because = withheld_reason(guard, action);
        if (is_victim && turn == MA_NO_GROUP) {
            turn = cluster;
            is_turn_armed = action->withheld_because == MA_REASON_NONE;
        }
        /* Only one at a time, and a page-out only of a guest that is really stopped. */
        if ((is_victim && cluster != turn) || (is_paired && !(cluster == turn && is_turn_armed))) {
            if (action->withheld_because == MA_REASON_NONE) {
                action->withheld_because = MA_REASON_VICTIM_PENDING;
            }
        }
        action->is_armed = action->withheld_because == MA_REASON_NONE;
    }
}
