/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "balanced.h"
#include "bytes.h"
#include "guard.h"

/* A row below this part of its critical watermark has nothing left to wait with. Too small: lives are spared on estimates
 * until memory is gone; too large: lives for what balloons bring in seconds. Simulated: see docs/adr/0016. */
#define WAITS_DIVISOR 2

/* A life is asked for what would be missing below the critical watermark when the horizon ends, with everything on its way
 * counted. What is missing between that and the reserve is the gentle options' to bring, in their time. A row that has
 * little left, or a deadline, has no reserve to spare. */
static int64_t spare_mib(const struct ma_study *study, size_t d) {
    const struct ma_resource *resource = &study->need.resources[d];
    bool has_little = resource->available_bytes < resource->critical_bytes / WAITS_DIVISOR;

    return has_little || study->plan->rows[d].within_ms > 0
               ? 0
               : (int64_t) ma_mib_down(
                     ma_sub_floor0(resource->reserve_bytes, resource->critical_bytes));
}

static bool any_victim_helps(const struct ma_plan *plan, size_t d) {
    for (size_t k = 0; k < plan->n_options; k++) {
        if (plan->options[k].is_victim && plan->options[k].frees.mib[d] > 0) {
            return true;
        }
    }
    return false;
}

/* Is something critical left that a victim could help? What nobody's end brings back in time is no reason for one. */
static bool is_victim_needed(const struct ma_study *study, const int64_t *uncovered_mib) {
    for (size_t d = 0; d < study->plan->n_rows; d++) {
        if ((int) d != study->need.swap && uncovered_mib[d] > spare_mib(study, d) &&
            study->plan->row_pressure[d] == MA_PRESSURE_CRITICAL &&
            any_victim_helps(study->plan, d)) {
            return true;
        }
    }
    return false;
}

/* A row that is not critical makes no victim: what gentle options leave of it stays uncovered. */
static void leave_out_calmer_rows(struct ma_study *study,
                                  const int64_t *uncovered_mib,
                                  int64_t left_out[MA_ROWS_MAX]) {
    memset(left_out, 0, sizeof(left_out[0]) * MA_ROWS_MAX);
    for (size_t d = 0; d < study->plan->n_rows; d++) {
        if ((int) d != study->need.swap && uncovered_mib[d] > 0 &&
            study->plan->row_pressure[d] < MA_PRESSURE_CRITICAL) {
            left_out[d] = uncovered_mib[d];
            study->options.demand_mib[d] -= left_out[d];
        }
    }
}

static void add_exhausted(struct ma_study *study) {
    const struct ma_plan *plan = study->plan;
    struct ma_plan_action *action;

    for (size_t d = 0; d < plan->n_rows; d++) {
        if ((int) d != study->need.swap && plan->uncovered.mib[d] > 0 &&
            plan->row_pressure[d] == MA_PRESSURE_CRITICAL && plan->certificate.victims == 0) {
            action = ma_plan_add_action(study->plan);
            if (action != NULL) {
                action->action = MA_ACTION_EXHAUSTED;
                action->reason = MA_REASON_NO_ELIGIBLE_OPTION;
            }
            return;
        }
    }
}

static bool is_barred(const struct ma_study *study) {
    const struct ma_plan *plan = study->plan;

    for (size_t k = 0; k < plan->n_actions; k++) {
        if (ma_action_is_victim(plan->actions[k].action)) {
            return ma_guard_victim_bar(study->input, plan->actions[k].action, 1) != MA_REASON_NONE;
        }
    }
    return false;
}

/* The least costly plan has a victim that may not be taken now (not armed, quiet time, breaker): meanwhile the gentle
 * options do all they can, beyond what the plan would have them do. */
static int meanwhile(struct ma_study *study) {
    size_t n = study->input->snapshot->n_guests;
    struct ma_plan *plan = study->plan;
    struct ma_choice gentle;
    bool *is_busy;
    int r;

    if (study->input->snapshot->settings.arm == MA_ARM_OBSERVE || !is_barred(study)) {
        return 0;
    }
    r = ma_study_choose(study, false, &gentle);
    if (r < 0) {
        return r;
    }
    is_busy = ma_arena_take(&study->arena, n, sizeof(*is_busy));
    if (is_busy == NULL) {
        return -ENOSPC;
    }
    memset(is_busy, 0, n * sizeof(*is_busy));
    for (size_t k = 0; k < plan->n_actions; k++) {
        if (plan->actions[k].has_guest) {
            is_busy[plan->actions[k].guest] = true;
        }
    }
    for (size_t k = 0; k < gentle.n_members; k++) {
        uint32_t option = gentle.member_choice[k];

        if (option != MA_COVER_NONE && !is_busy[gentle.member_guest[k]]) {
            ma_study_add_actions(study, gentle.member_guest[k], &plan->options[option]);
        }
    }
    return 0;
}

static int cover_with_victims(struct ma_study *study, const int64_t *uncovered_mib) {
    struct ma_choice joint;
    int64_t left_out[MA_ROWS_MAX];
    int r;

    leave_out_calmer_rows(study, uncovered_mib, left_out);
    r = ma_study_choose(study, true, &joint);
    if (r < 0) {
        return r;
    }
    r = balanced_expired_first(study, &joint);
    if (r == 0) {
        r = balanced_culprit_first(study, &joint);
    }
    if (r < 0) {
        return r;
    }
    if (r == 0) {
        ma_study_take(study, &joint);
    }
    for (size_t d = 0; d < study->plan->n_rows; d++) {
        study->options.demand_mib[d] += left_out[d];
        study->plan->deficits.mib[d] += left_out[d];
        study->plan->uncovered.mib[d] += left_out[d];
    }
    add_exhausted(study);
    return meanwhile(study);
}

static bool has_veto(const struct ma_study *study) {
    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        if (study->facts[i].is_vetoing) {
            return true;
        }
    }
    return false;
}

/* What the need counts on of that guest's balloon, in a row. */
static uint64_t gain_in_flight(const struct ma_study *study, size_t guest, size_t d) {
    const struct ma_facts *facts = &study->facts[guest];
    const struct ma_row *row = &study->plan->rows[d];
    uint64_t usec = ma_need_landing_usec(&study->need, row, true);

    return facts->in_flight_bytes == 0
               ? 0
               : ma_need_share(
                     facts->guest, row,
                     ma_facts_returned_by(facts, facts->committed_bytes, usec).held_bytes);
}

/* What is still to come of vetoed squeezes is to come of others. */
static void count_out_vetoed(struct ma_study *study) {
    for (size_t d = 0; d < study->plan->n_rows; d++) {
        int64_t *demand = &study->need.demand_mib[d];
        uint64_t gain = 0;

        for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
            gain += study->facts[i].is_vetoing ? gain_in_flight(study, i, d) : 0;
        }
        if (gain > 0 && (int) d != study->need.swap && study->need.resources[d].counts &&
            study->plan->row_pressure[d] > MA_PRESSURE_NORMAL) {
            *demand += (int64_t) ma_mib_up(ma_min_u64(gain, MA_BYTES_MAX));
            *demand = ma_max_i64(*demand - (*demand > 0 ? study->need.slack_mib[d] : 0), 0);
        }
    }
}

static void stop_vetoed(struct ma_study *study) {
    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        if (study->facts[i].is_vetoing && study->facts[i].balloon_reason == MA_REASON_NONE) {
            balanced_stop_squeeze(study, i);
        }
    }
}

/* Guests that veto a squeeze are spared where the others' gentle options cover everything, and what was under way of them
 * is stopped. Where these do not, no veto counts: it would make a victim of somebody else. Nor where the host is hard pressed
 * and short: what others return instead comes later, and in the lives of tests/property/veto.c that made victims of some. 1:
 * covered, 0: not, or negative errno. */
static int cover_beside_vetoes(struct ma_study *study) {
    struct ma_need need = study->need;
    struct ma_choice choice;
    int r;

    if (!has_veto(study) || study->plan->pressure >= MA_PRESSURE_HARD) {
        return 0;
    }
    count_out_vetoed(study);
    study->honours_vetoes = true;
    ma_study_candidates(study, study->options.rungs);
    r = ma_study_choose(study, false, &choice);
    study->need = need;
    if (r == 0 && choice.is_covering) {
        ma_study_take(study, &choice);
        stop_vetoed(study);
        return 1;
    }
    study->honours_vetoes = false;
    ma_study_candidates(study, study->options.rungs);
    return r;
}

int balanced_cover(struct ma_study *study) {
    struct ma_amounts *uncovered = &study->plan->uncovered_without_victims;
    struct ma_choice gentle;
    int r;

    /* Where it is plain that gentle options do not suffice, which of them would come nearest is not asked. */
    ma_study_gentle_limits(study, uncovered);
    if (is_victim_needed(study, uncovered->mib)) {
        return cover_with_victims(study, uncovered->mib);
    }
    r = cover_beside_vetoes(study);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    r = ma_study_choose(study, false, &gentle);
    if (r < 0) {
        return r;
    }
    memcpy(uncovered->mib, gentle.result.uncovered_mib, sizeof(uncovered->mib));
    if (is_victim_needed(study, uncovered->mib)) {
        return cover_with_victims(study, uncovered->mib);
    }
    ma_study_take(study, &gentle);
    add_exhausted(study);
    return 0;
}
