/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commit.h"

#include <string.h>

#include "bytes.h"
#include "decide.h"
#include "loan.h"
#include "notice.h"
#include "observe.h"
#include "rebalance.h"

static void commit_balloon(const struct ma_guest *guest,
                           const struct ma_plan_action *action,
                           struct ma_guest_memory *memory,
                           uint64_t now_usec) {
    int32_t direction = action->to_bytes > action->from_bytes ? 1 : -1;
    bool is_in_motion = memory->last_move_usec != 0 && !memory->balloon_is_settled;
    bool is_repeat = is_in_motion && memory->balloon_ours_bytes == action->to_bytes;

    if ((memory->taken & MA_TAKEN_BALLOON) == 0 && direction < 0) {
        /* A move of somebody else may be under way: what they set is what is given back. */
        memory->balloon_before_bytes = (guest->balloon.has & MA_BALLOON_HAS_TARGET) != 0
                                           ? guest->balloon.target_bytes
                                           : guest->actual_bytes;
        memory->balloon_before_bytes = ma_max_u64(memory->balloon_before_bytes, action->to_bytes);
        memory->taken |= MA_TAKEN_BALLOON;
    }
    if (memory->last_direction != direction) {
        memory->last_turn_usec = now_usec;
    }
    if (memory->last_direction != direction || !is_in_motion) {
        memory->rate_from_usec = now_usec;
        memory->rate_from_bytes = guest->actual_bytes;
    }
    if (direction < 0) {
        ma_notice_end(memory, now_usec);
    }
    ma_loan_note_move(guest, action, memory, now_usec);
    memory->last_direction = direction;
    memory->balloon_told_bytes = is_in_motion ? memory->balloon_ours_bytes : 0;
    memory->balloon_ours_bytes = action->to_bytes;
    memory->balloon_is_settled = false;
    if (memory->cooperation == MA_COOPERATION_STUCK && direction < 0) {
        ma_observe_stuck(memory, now_usec); /* a probe that is not answered needs no other word */
    }
    if (is_repeat) {
        return; /* asking for the same again must not restart the clock that finds stuck ones */
    }
    if (!is_in_motion) {
        memory->last_progress_usec = now_usec;
    }
    memory->last_move_usec = ma_max_u64(now_usec, 1);
    memory->move_from_bytes = guest->actual_bytes;
    memory->last_actual_bytes = guest->actual_bytes;
    memory->resident_before_bytes = guest->resident_bytes;
}

static void commit_resize(const struct ma_plan_action *action, struct ma_guest_memory *memory) {
    if ((memory->taken & MA_TAKEN_RESIZE) == 0 && action->to_bytes < action->from_bytes) {
        memory->resize_before_bytes = action->from_bytes;
        memory->taken |= MA_TAKEN_RESIZE;
    }
    memory->resize_ours_bytes = action->to_bytes;
    memory->resize_is_settled = false;
}

static void log_victim(struct ma_state *state, uint64_t now_usec) {
    uint32_t at = state->n_victims_logged;

    if (at >= MA_VICTIM_LOG_MAX) {
        memmove(&state->victim_usec[0], &state->victim_usec[1],
                (MA_VICTIM_LOG_MAX - 1) * sizeof(state->victim_usec[0]));
        at = MA_VICTIM_LOG_MAX - 1;
    }
    state->victim_usec[at] = now_usec;
    state->n_victims_logged = at + 1;
    state->victims_in_incident++;
}

static void commit_victim(const struct ma_snapshot *snapshot,
                          const struct ma_plan *plan,
                          const struct ma_plan_action *action,
                          struct ma_state *state) {
    struct ma_pending_victim *pending = &state->pending;
    uint64_t now = snapshot->taken_at_usec;
    const char *uuid = snapshot->guests[action->guest].uuid;
    int ram = ma_plan_row(plan, MA_ROW_RAM, 0);
    size_t length = strlen(uuid);

    if (pending->n_guests >= MA_VICTIM_MEMBERS_MAX || length >= MA_UUID_MAX) {
        return;
    }
    if (!pending->is_pending) {
        memset(pending, 0, sizeof(*pending));
        pending->is_pending = true;
        pending->action = action->action;
        pending->taken_usec = now;
        pending->available_before_bytes = snapshot->host.available_bytes;
        pending->held_before_bytes = ma_observe_held_bytes(snapshot);
        pending->slope_before_bytes_per_s =
            (snapshot->host.has & MA_HOST_HAS_SLOPE) != 0 ? snapshot->host.slope_bytes_per_s
            : ram >= 0 && state->pressures[ram].has_slope ? state->pressures[ram].slope_bytes_per_s
                                                          : 0;
    }
    memcpy(pending->uuid[pending->n_guests++], uuid, length + 1);
    pending->deadline_usec =
        ma_max_u64(pending->deadline_usec, ma_add_sat(now, action->deadline_usec));
    if (ram >= 0 && action->frees.mib[ram] > 0) {
        pending->predicted_bytes += (uint64_t) action->frees.mib[ram] * MA_MIB;
    }
    log_victim(state, now);
}

static void commit_rebalance(const struct ma_plan *plan,
                             const struct ma_plan_action *action,
                             struct ma_guest_memory *memory,
                             uint64_t now_usec) {
    uint16_t from;
    uint16_t to;

    if (ma_rebalance_nodes(plan, action, &from, &to)) {
        memory->rebalance_until_usec = ma_add_sat(now_usec, action->deadline_usec);
        memory->rebalance_to_bytes = action->to_bytes;
        memory->rebalance_from_node = from;
        memory->rebalance_to_node = to;
    }
}

static void commit_on_guest(const struct ma_snapshot *snapshot,
                            const struct ma_plan *plan,
                            const struct ma_plan_action *action,
                            struct ma_guest_memory *memory) {
    uint64_t now = snapshot->taken_at_usec;

    if (action->action == MA_ACTION_BALLOON) {
        commit_balloon(&snapshot->guests[action->guest], action, memory, now);
    } else if (action->action == MA_ACTION_RESIZE) {
        commit_resize(action, memory);
    } else if (action->action == MA_ACTION_RECLAIM) {
        memory->reclaim_bytes = action->to_bytes;
        memory->reclaim_until_usec = ma_add_sat(now, action->deadline_usec);
    } else if (action->action == MA_ACTION_REBALANCE) {
        commit_rebalance(plan, action, memory, now);
    } else if (action->action == MA_ACTION_PAUSE) {
        memory->taken |= MA_TAKEN_PAUSE;
        memory->paused_since_usec = now;
        memory->pause_is_settled = false;
        memory->resume_sent_usec = 0;
    } else if (action->action == MA_ACTION_RESUME) {
        memory->resume_sent_usec = ma_max_u64(now, 1);
    }
}

/* A victim's return is no trend: across it the slope is forgotten. Balloon moves keep it: forgetting blinded the
 * forecast for two samples at each step, in the middle of a boot storm. */
static bool breaks_trend(const struct ma_plan *plan) {
    for (size_t k = 0; k < plan->n_actions; k++) {
        if (plan->actions[k].is_armed && ma_action_is_victim(plan->actions[k].action)) {
            return true;
        }
    }
    return false;
}

void ma_commit(const struct ma_snapshot *snapshot,
               const struct ma_plan *plan,
               struct ma_state *state) {
    for (size_t k = 0; k < plan->n_actions; k++) {
        const struct ma_plan_action *action = &plan->actions[k];
        struct ma_guest_memory *memory;

        bool is_waiting = action->withheld_because == MA_REASON_ANNOUNCED;
        if (!(action->is_armed || is_waiting) || !action->has_guest) {
            continue;
        }
        memory = ma_state_get(state, snapshot->guests[action->guest].uuid);
        if (is_waiting) {
            if (memory != NULL) {
                ma_notice_begin(memory, snapshot->taken_at_usec);
            }
            continue;
        }
        if (memory != NULL) {
            commit_on_guest(snapshot, plan, action, memory);
        }
        if (ma_action_is_victim(action->action)) {
            commit_victim(snapshot, plan, action, state);
        }
    }
    if (breaks_trend(plan)) {
        for (size_t d = 0; d < state->n_pressures; d++) {
            ma_pressure_forget_trend(&state->pressures[d]);
        }
    }
}
