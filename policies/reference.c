/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reference.h"

#include "bytes.h"

int reference_begin(struct ma_study *study,
                    const struct ma_policy_input *input,
                    struct ma_plan *plan) {
    int r = ma_study_begin(study, input, plan);

    if (r == 0) {
        ma_study_candidates(study, 0);
    }
    return r;
}

bool reference_is_due(const struct ma_study *study, uint64_t period_usec) {
    const struct ma_state *state = study->input->state;
    uint64_t now = study->input->snapshot->taken_at_usec;

    for (size_t i = 0; i < state->n_guests; i++) {
        uint64_t last = state->guests[i].last_move_usec;

        if (last != 0 && ma_sub_floor0(now, last) < period_usec) {
            return false;
        }
    }
    return true;
}

bool reference_has_driver(const struct ma_guest *guest) {
    bool is_there = (guest->balloon.has & MA_BALLOON_HAS_STATE) != 0 &&
                    guest->balloon.state != MA_BALLOON_ABSENT;

    return is_there && guest->state == MA_GUEST_RUNNING &&
           (guest->has & MA_GUEST_HAS_ACTUAL) != 0 && (guest->has & MA_GUEST_HAS_MAX) != 0 &&
           (guest->stats.has & MA_STATS_HAS_FREE) != 0;
}

void reference_add_balloon(struct ma_study *study, uint32_t guest, uint64_t to_bytes) {
    const struct ma_facts *facts = &study->facts[guest];
    uint64_t actual = facts->guest->actual_bytes;
    uint64_t distance = to_bytes > actual ? to_bytes - actual : actual - to_bytes;
    struct ma_plan_action *action = ma_plan_add_action(study->plan);

    if (action == NULL) {
        return;
    }
    action->has_guest = true;
    action->guest = guest;
    action->action = MA_ACTION_BALLOON;
    action->has_from_to = true;
    action->from_bytes = actual;
    action->to_bytes = to_bytes;
    action->has_frees = true;
    ma_frees_of_balloon(study->plan, &study->need, facts, to_bytes, &action->frees);
    action->reason = to_bytes > actual ? MA_REASON_GIVE_BACK : MA_REASON_DIVISION;
    action->deadline_usec = ma_options_deadline_usec(facts, MA_ACTION_BALLOON, distance);
    action->is_emergency = true; /* no dwell, no dead band but the program's own */
}

void reference_add_kill(struct ma_study *study, uint32_t guest) {
    const struct ma_facts *facts = &study->facts[guest];
    struct ma_plan_action *action = ma_plan_add_action(study->plan);

    if (action == NULL) {
        return;
    }
    action->has_guest = true;
    action->guest = guest;
    action->action = MA_ACTION_KILL;
    action->has_frees = true;
    ma_frees_of_victim(study->plan, &study->need, facts, MA_ACTION_KILL, &action->frees);
    action->impact = ma_impact_of_rung(ma_study_impact(study, guest), MA_RUNG_KILL);
    action->reason = MA_REASON_LEAST_IMPACT;
    action->deadline_usec =
        ma_options_deadline_usec(facts, MA_ACTION_KILL, facts->guest->resident_bytes);
    action->is_emergency = true;
}
