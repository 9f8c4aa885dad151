/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exhaust.h"

#include "bytes.h"

static bool is_without_option(const struct ma_snapshot *snapshot,
                              const struct ma_state *state,
                              const struct ma_plan *plan) {
    bool is_stale = (snapshot->host.has & MA_HOST_HAS_AGE) != 0 &&
                    snapshot->host.sampled_age_usec > snapshot->settings.stale_usec;
    if (is_stale || plan->pressure != MA_PRESSURE_CRITICAL || state->pending.is_pending) {
        return false;
    }
    for (size_t i = 0; i < plan->n_actions; i++) {
        if (plan->actions[i].action == MA_ACTION_EXHAUSTED) {
            return true;
        }
    }
    return false;
}

static bool is_quiet(const struct ma_snapshot *snapshot, const struct ma_state *state) {
    uint64_t from = ma_max_u64(state->started_usec, state->quiet_from_usec);
    return from != 0 && snapshot->taken_at_usec < ma_add_sat(from, snapshot->settings.quiet_usec);
}

bool ma_exhaustion_is_due(struct ma_exhaustion *exhaustion,
                          const struct ma_snapshot *snapshot,
                          const struct ma_state *state,
                          const struct ma_plan *plan,
                          uint64_t after_usec) {
    uint64_t now = snapshot->taken_at_usec;
    if (!state->in_incident) {
        exhaustion->is_done = false;
    }
    if (!is_without_option(snapshot, state, plan)) {
        exhaustion->count = 0;
        return false;
    }
    if (exhaustion->count == 0) {
        exhaustion->since_usec = now;
    }
    exhaustion->count += exhaustion->count < MA_EXHAUSTION_SNAPSHOTS ? 1 : 0;
    bool is_long = exhaustion->count >= MA_EXHAUSTION_SNAPSHOTS &&
                   now >= ma_add_sat(exhaustion->since_usec, after_usec);
    bool is_due = is_long && !exhaustion->is_done && !is_quiet(snapshot, state) &&
                  snapshot->settings.arm == MA_ARM_KILL;
    exhaustion->is_done = exhaustion->is_done || is_due;
    return is_due;
}
