/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-pauses.c - a pause ends after PauseMax=: by the next rung where the host still needs a victim, else by a
 * resume. The next rung stands under the guard's rules as any victim does; where it may not be taken (not armed, not
 * allowed, the breaker), the guest is resumed: a pause without an end is an outage that nobody asked for. */
#include "balanced.h"
#include "bytes.h"
#include "guard.h"

static bool is_expired(const struct ma_study *study, const struct ma_facts *facts) {
    return facts->memory != NULL && balanced_is_resumable(study, facts) &&
           balanced_paused_for_usec(study, facts) >=
               study->input->snapshot->settings.pause_max_usec;
}

static bool has_victim(const struct ma_plan *plan) {
    for (size_t k = 0; k < plan->n_actions; k++) {
        if (ma_action_is_victim(plan->actions[k].action)) {
            return true;
        }
    }
    return false;
}

static uint32_t count_members(const struct ma_study *study, uint32_t guest) {
    uint32_t index = study->groups.group_of[guest];

    return index == MA_NO_GROUP ? 1 : study->groups.groups[index].n_members;
}

/* The gentlest victim's option of its cluster beyond a pause that may be taken, now or when a quiet time is over;
 * MA_COVER_NONE: there is none. */
static uint32_t next_rung(const struct ma_study *study, uint32_t guest) {
    uint32_t owner = ma_study_cluster(study, guest);
    const struct ma_candidate *candidate = &study->plan->candidates[owner];

    for (uint32_t k = 0; k < candidate->n_options; k++) {
        const struct ma_option *option = &study->plan->options[candidate->first_option + k];
        enum ma_reason bar;

        if (!option->is_victim || option->rung <= MA_RUNG_PAUSE) {
            continue;
        }
        bar =
            ma_guard_victim_bar(study->input, option->steps[0].action, count_members(study, guest));
        if (bar == MA_REASON_NONE || bar == MA_REASON_QUIET_TIME || bar == MA_REASON_LATE_TICK) {
            return candidate->first_option + k;
        }
    }
    return MA_COVER_NONE;
}

int balanced_expired_first(struct ma_study *study, const struct ma_choice *joint) {
    uint32_t oldest = MA_NO_GROUP;
    uint32_t option;
    uint32_t owner;
    int r;

    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study->facts[i];
        bool is_older =
            oldest == MA_NO_GROUP || balanced_paused_for_usec(study, facts) >
                                         balanced_paused_for_usec(study, &study->facts[oldest]);

        if (is_expired(study, facts) && is_older && next_rung(study, i) != MA_COVER_NONE) {
            oldest = i;
        }
    }
    if (oldest == MA_NO_GROUP) {
        return 0;
    }
    owner = ma_study_cluster(study, oldest);
    option = next_rung(study, oldest);
    study->plan->options[option].reason = MA_REASON_PAUSE_EXPIRED;
    if (balanced_is_chosen_victim(study, joint, owner)) {
        return 0;
    }
    r = balanced_force(study, owner, option, joint);
    return r < 0 ? r : 1;
}

void balanced_end_pauses(struct ma_study *study) {
    bool is_victim_needed = has_victim(study->plan);

    if (study->plan->pressure == MA_PRESSURE_NORMAL || balanced_is_resume_under_way(study)) {
        return;
    }
    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        if (is_expired(study, &study->facts[i]) &&
            !(is_victim_needed && next_rung(study, i) != MA_COVER_NONE)) {
            balanced_add_resume(study, i, MA_REASON_PAUSE_EXPIRED);
            return;
        }
    }
}
