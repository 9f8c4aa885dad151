/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guard-prefix.c - P3. Walking the plan in its order, each row has room: what lies above its soft watermark, plus what
 * armed gentle actions before have brought. What consumes may take from that room alone; a row that is below its
 * watermark already has none of its own. Victims' gains pay for nothing: they come late or not at all. Under
 * Arm=observe nothing that takes is armed, and the plan is shown as it would be; what gives back is armed even then, and is
 * paid for by what is really done. */
#include <string.h>

#include "bytes.h"
#include "guard-internal.h"

/* What is left on each row, for what is armed and for what is only shown. */
struct room {
    int64_t armed_mib[MA_ROWS_MAX];
    int64_t shown_mib[MA_ROWS_MAX];
};

static bool is_protected(const struct ma_guard *guard, size_t d) {
    return (int) d == guard->study.need.swap || guard->study.need.resources[d].counts;
}

static bool
fits(const struct ma_guard *guard, const struct room *room, const struct ma_plan_action *action) {
    const int64_t *left_mib = action->is_armed ? room->armed_mib : room->shown_mib;

    for (size_t d = 0; d < guard->plan->n_rows; d++) {
        int64_t frees = action->frees.mib[d];

        if (is_protected(guard, d) && frees < 0 && left_mib[d] + frees < 0) {
            return false;
        }
    }
    return true;
}

static void
book(const struct ma_guard *guard, struct room *room, const struct ma_plan_action *action) {
    bool is_observed = guard->input->snapshot->settings.arm == MA_ARM_OBSERVE;

    if (!action->has_frees || ma_action_is_victim(action->action)) {
        return;
    }
    for (size_t d = 0; d < guard->plan->n_rows; d++) {
        int64_t frees = action->frees.mib[d];

        room->armed_mib[d] += frees < 0 || action->is_armed ? frees : 0;
        room->shown_mib[d] += frees < 0 || action->is_armed || is_observed ? frees : 0;
    }
}

static void refree(const struct ma_guard *guard, struct ma_plan_action *action) {
    const struct ma_facts *facts = &guard->study.facts[action->guest];
    const struct ma_need *need = &guard->study.need;

    if (action->action == MA_ACTION_BALLOON) {
        ma_frees_of_balloon(guard->plan, need, facts, action->to_bytes, &action->frees);
    } else if (action->action == MA_ACTION_RESIZE) {
        ma_frees_of_resize(guard->plan, need, facts, action->to_bytes, &action->frees);
    } else {
        ma_frees_of_reclaim(guard->plan, facts, action->to_bytes, &action->frees);
    }
}

/* The most that the room allows, found by halving: share of the row per byte differs by row. False: nothing. */
static bool
cut(const struct ma_guard *guard, const struct room *room, struct ma_plan_action *action) {
    uint64_t unit = action->action == MA_ACTION_RESIZE
                        ? guard->study.facts[action->guest].guest->virtio_mem.block_bytes
                        : MA_MIB;
    uint64_t from = action->from_bytes;
    uint64_t low = 0;
    uint64_t high = unit == 0 ? 0 : ma_sub_floor0(action->to_bytes, from) / unit;

    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;

        action->to_bytes = from + middle * unit;
        refree(guard, action);
        if (fits(guard, room, action)) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    action->to_bytes = from + low * unit;
    refree(guard, action);
    return low > 0;
}

void ma_guard_prefixes(struct ma_guard *guard) {
    struct ma_plan *plan = guard->plan;
    struct room room;
    size_t kept = 0;

    memcpy(room.armed_mib, guard->study.need.slack_mib, sizeof(room.armed_mib));
    memcpy(room.shown_mib, guard->study.need.slack_mib, sizeof(room.shown_mib));
    for (size_t k = 0; k < plan->n_actions; k++) {
        struct ma_plan_action action = plan->actions[k];
        uint64_t proposed = action.to_bytes;

        if (action.has_frees && !ma_action_is_victim(action.action) &&
            !fits(guard, &room, &action)) {
            /* A move between nodes is worked out with this room already: it goes whole or not at all. */
            bool is_left = action.action != MA_ACTION_REBALANCE && cut(guard, &room, &action);
            uint64_t granted = action.to_bytes;

            action.to_bytes = proposed;
            ma_guard_note(guard, &action, MA_REASON_WOULD_SHORTEN, is_left ? granted : 0);
            action.to_bytes = granted;
            if (!is_left) {
                continue;
            }
        }
        book(guard, &room, &action);
        plan->actions[kept++] = action;
    }
    plan->n_actions = kept;
}
