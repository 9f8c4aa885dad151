/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "balanced.h"
#include "bytes.h"

static bool is_critical_uncovered(const struct ma_study *study, const struct ma_choice *gentle) {
    for (size_t d = 0; d < study->plan->n_rows; d++) {
        if ((int) d != study->need.swap && gentle->result.uncovered_mib[d] > 0 &&
            study->plan->row_pressure[d] == MA_PRESSURE_CRITICAL) {
            return true;
        }
    }
    return false;
}

/* A row that is not critical makes no victim: what gentle options leave of it stays uncovered. */
static void leave_out_calmer_rows(struct ma_study *study,
                                  const struct ma_choice *gentle,
                                  int64_t left_out[MA_ROWS_MAX]) {
    memset(left_out, 0, sizeof(left_out[0]) * MA_ROWS_MAX);
    for (size_t d = 0; d < study->plan->n_rows; d++) {
        if ((int) d != study->need.swap && gentle->result.uncovered_mib[d] > 0 &&
            study->plan->row_pressure[d] < MA_PRESSURE_CRITICAL) {
            left_out[d] = gentle->result.uncovered_mib[d];
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

static int cover_with_victims(struct ma_study *study, const struct ma_choice *gentle) {
    struct ma_choice joint;
    int64_t left_out[MA_ROWS_MAX];
    int r;

    leave_out_calmer_rows(study, gentle, left_out);
    r = ma_study_choose(study, true, &joint);
    if (r < 0) {
        return r;
    }
    ma_study_take(study, &joint);
    for (size_t d = 0; d < study->plan->n_rows; d++) {
        study->plan->deficits.mib[d] += left_out[d];
        study->plan->uncovered.mib[d] += left_out[d];
    }
    add_exhausted(study);
    return 0;
}

int balanced_cover(struct ma_study *study) {
    struct ma_choice gentle;
    int r = ma_study_choose(study, false, &gentle);

    if (r < 0) {
        return r;
    }
    for (size_t d = 0; d < study->plan->n_rows; d++) {
        study->plan->uncovered_without_victims.mib[d] = gentle.result.uncovered_mib[d];
    }
    if (is_critical_uncovered(study, &gentle)) {
        return cover_with_victims(study, &gentle);
    }
    ma_study_take(study, &gentle);
    return 0;
}
