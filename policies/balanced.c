/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced.c - working sets first, headroom by shares, lives last. balanced.md explains it with figures. */
#include "balanced.h"

#include "bytes.h"

static uint32_t rungs_of(enum ma_pressure pressure) {
    switch (pressure) {
    case MA_PRESSURE_SOFT:
        return MA_RUNGS_SOFT;
    case MA_PRESSURE_HARD:
        return MA_RUNGS_GENTLE;
    case MA_PRESSURE_CRITICAL:
        return MA_RUNGS_ALL;
    case MA_PRESSURE_NORMAL:
    case MA_PRESSURE_COUNT:
        break;
    }
    return 0;
}

static int propose(const struct ma_policy_input *input, struct ma_plan *plan) {
    struct ma_study study;
    int r = ma_study_begin(&study, input, plan);

    if (r < 0) {
        return r;
    }
    ma_study_candidates(&study, rungs_of(plan->pressure));
    if (study.need.has_demand) {
        r = balanced_cover(&study);
    } else if (plan->pressure == MA_PRESSURE_NORMAL && !balanced_is_relief_wanted(&study)) {
        balanced_give_back(&study, true);
    } else {
        r = balanced_divide(&study);
    }
    if (r == 0) {
        balanced_relieve_paid(&study);
        balanced_take_back_loans(&study);
        balanced_rebalance(&study);
        balanced_give_back_pinned(&study);
        balanced_end_pauses(&study);
        balanced_probe_stuck(&study);
    }
    return r;
}

const struct ma_policy ma_policy_balanced = {
    .name = "balanced",
    .summary = "idle memory first, then by shares down to the guarantees, then the least impact",
    .propose = propose,
};
