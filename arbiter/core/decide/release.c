/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* release.c - what others tell the controller's memory: outcomes, the operator's word; and what is owed (P6). */
#include <string.h>

#include "bytes.h"
#include "commit.h"
#include "decide.h"
#include "observe.h"

/* What was refused is not asked for again for this long. Too small: the plan counts on it again and again; too large: a
 * passing trouble costs a gentle way. */
#define REFUSED_FOR_USEC (UINT64_C(600) * MA_USEC_PER_SEC)

static void drop_pending_member(struct ma_state *state, const char *uuid) {
    struct ma_pending_victim *pending = &state->pending;
    uint32_t n =
        pending->n_guests < MA_VICTIM_MEMBERS_MAX ? pending->n_guests : MA_VICTIM_MEMBERS_MAX;

    for (uint32_t k = 0; k < n; k++) {
        if (strcmp(pending->uuid[k], uuid) != 0) {
            continue;
        }
        memmove(pending->uuid[k], pending->uuid[k + 1], (n - k - 1) * sizeof(pending->uuid[0]));
        pending->n_guests = n - 1;
        state->victims_in_incident -= state->victims_in_incident > 0;
        state->n_victims_logged -= state->n_victims_logged > 0;
        if (pending->n_guests == 0) {
            memset(pending, 0, sizeof(*pending));
        }
        return;
    }
}

static void note_failed_move(struct ma_guest_memory *memory) {
    /* The command did not reach the guest. A move that was under way goes on: taken for settled, it would look like
     * another's doing and be struck from the ledger. */
    if (memory->balloon_told_bytes != 0) {
        memory->balloon_ours_bytes = memory->balloon_told_bytes;
        return;
    }
    /* Else the balloon stands where it was last seen, nothing is in flight. */
    memory->balloon_ours_bytes = memory->last_actual_bytes;
    memory->balloon_is_settled = true;
    if (memory->balloon_ours_bytes >= memory->balloon_before_bytes) {
        memory->taken &= ~(uint32_t) MA_TAKEN_BALLOON;
    }
}

void ma_state_note_outcome(struct ma_state *state,
                           const char *uuid,
                           enum ma_action action,
                           bool result_ok,
                           uint64_t now_usec) {
    struct ma_guest_memory *memory = ma_state_find(state, uuid);

    if (action == MA_ACTION_REBALANCE && memory != NULL) {
        memory->rebalance_until_usec = 0; /* done or not, nothing of it is under way */
    }
    if (result_ok) {
        return;
    }
    if (ma_action_is_victim(action)) {
        drop_pending_member(state, uuid);
    }
    if (memory == NULL) {
        return;
    }
    if (action == MA_ACTION_BALLOON) {
        note_failed_move(memory);
    } else if (action == MA_ACTION_PAUSE) {
        memory->taken &= ~(uint32_t) MA_TAKEN_PAUSE;
    } else if (action == MA_ACTION_RESUME) {
        memory->resume_sent_usec = 0;
    } else if (action == MA_ACTION_RESIZE) {
        memory->taken &= ~(uint32_t) MA_TAKEN_RESIZE;
        ma_state_refuse(memory, action, now_usec, REFUSED_FOR_USEC);
    } else if (action == MA_ACTION_RECLAIM) {
        memory->reclaim_until_usec = 0;
        ma_state_refuse(memory, action, now_usec, REFUSED_FOR_USEC);
    } else if (action == MA_ACTION_REBALANCE) {
        ma_state_refuse(memory, action, now_usec, REFUSED_FOR_USEC);
    }
}

/* Else a guest that does as it was told is found elsewhere: as if another had moved it, it would be struck from the ledger. */
void ma_state_note_earlier_stands(struct ma_state *state, const char *uuid, enum ma_action action) {
    struct ma_guest_memory *memory = ma_state_find(state, uuid);

    if (memory != NULL && action == MA_ACTION_BALLOON && memory->balloon_told_bytes != 0) {
        memory->balloon_ours_bytes = memory->balloon_told_bytes;
    }
}

void ma_state_clear_breaker(struct ma_state *state) {
    state->disarmed_actions = 0;
    memset(state->poor_returns, 0, sizeof(state->poor_returns));
    state->victims_in_incident = 0;
    state->n_victims_logged = 0;
}

void ma_state_note_operator_resume(struct ma_state *state,
                                   const char *uuid,
                                   uint64_t now_usec,
                                   uint64_t exempt_usec) {
    struct ma_guest_memory *memory = ma_state_get(state, uuid);

    if (memory != NULL) {
        memory->exempt_until_usec = ma_add_sat(now_usec, exempt_usec);
        memory->taken &= ~(uint32_t) MA_TAKEN_PAUSE;
        memory->resume_sent_usec = 0;
    }
}

static void
owe(struct ma_plan *plan, uint32_t guest, enum ma_action kind, uint64_t from, uint64_t to) {
    struct ma_plan_action *action = ma_plan_add_action(plan);

    if (action == NULL) {
        return;
    }
    action->has_guest = true;
    action->guest = guest;
    action->action = kind;
    action->has_from_to = kind != MA_ACTION_RESUME;
    action->from_bytes = from;
    action->to_bytes = to;
    action->reason = MA_REASON_GIVE_BACK;
    action->is_armed = true;
}

static void release_guest(const struct ma_guest *guest,
                          const struct ma_guest_memory *memory,
                          uint32_t index,
                          struct ma_plan *plan) {
    bool has_actual = (guest->has & MA_GUEST_HAS_ACTUAL) != 0;
    uint64_t before = (guest->has & MA_GUEST_HAS_MAX) != 0
                          ? ma_min_u64(memory->balloon_before_bytes, guest->max_bytes)
                          : memory->balloon_before_bytes;

    if ((memory->taken & MA_TAKEN_PAUSE) != 0 && guest->state == MA_GUEST_PAUSED) {
        owe(plan, index, MA_ACTION_RESUME, 0, 0);
    }
    /* One that has not answered yet may still obey: it is told otherwise even where it stands as it was. */
    if ((memory->taken & MA_TAKEN_BALLOON) != 0 &&
        (!has_actual || guest->actual_bytes < before || !memory->balloon_is_settled)) {
        owe(plan, index, MA_ACTION_BALLOON, guest->actual_bytes, before);
    }
    if ((memory->taken & MA_TAKEN_RESIZE) != 0 &&
        guest->virtio_mem.requested_bytes < memory->resize_before_bytes) {
        owe(plan, index, MA_ACTION_RESIZE, guest->virtio_mem.requested_bytes,
            memory->resize_before_bytes);
    }
}

static void begin(const struct ma_snapshot *snapshot, const char *policy, struct ma_plan *plan) {
    ma_plan_reset(plan);
    plan->policy = policy;
    plan->settings = snapshot->settings;
}

static void release_index(const struct ma_snapshot *snapshot,
                          uint32_t index,
                          const struct ma_state *state,
                          struct ma_plan *plan) {
    const struct ma_guest *guest = &snapshot->guests[index];
    const struct ma_guest_memory *memory = ma_state_find(state, guest->uuid);

    if (memory != NULL && memory->taken != 0) {
        release_guest(guest, memory, index, plan);
    }
}

void ma_decide_release(const struct ma_snapshot *snapshot,
                       struct ma_state *state,
                       struct ma_plan *ret_plan) {
    enum ma_pressure pressure;

    ma_plan_reset(ret_plan);
    ma_observe(snapshot, false, state, ret_plan);
    pressure = ret_plan->pressure;
    begin(snapshot, MA_RELEASE_POLICY, ret_plan);
    ret_plan->pressure = pressure; /* giving back does not end a shortage */
    for (size_t i = 0; i < snapshot->n_guests; i++) {
        release_index(snapshot, (uint32_t) i, state, ret_plan);
    }
    ma_commit(snapshot, ret_plan, state);
}

void ma_decide_release_guest(const struct ma_snapshot *snapshot,
                             uint32_t guest,
                             struct ma_state *state,
                             struct ma_plan *ret_plan) {
    begin(snapshot, MA_RELEASE_GUEST_POLICY, ret_plan);
    for (size_t d = 0; d < state->n_pressures; d++) {
        if (state->pressures[d].row.kind == MA_ROW_RAM) {
            ret_plan->pressure = state->pressures[d].pressure;
        }
    }
    release_index(snapshot, guest, state, ret_plan);
    ma_commit(snapshot, ret_plan, state);
    state->seq++;
}
