/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guard-victims.c - P14 (guard-suffices.c says whether a victim is needed) and whole groups. */
#include <string.h>

#include "bytes.h"
#include "guard-internal.h"

uint32_t ma_guard_cluster(const struct ma_guard *guard, uint32_t guest) {
    const struct ma_groups *groups = &guard->study.groups;
    uint32_t index = groups->group_of[guest];

    return index == MA_NO_GROUP ? guest : groups->members[groups->groups[index].first];
}

static bool has_victim(const struct ma_plan *plan) {
    for (size_t k = 0; k < plan->n_actions; k++) {
        if (ma_action_is_victim(plan->actions[k].action)) {
            return true;
        }
    }
    return false;
}

static enum ma_action victim_action_of(const struct ma_guard *guard, uint32_t guest) {
    for (enum ma_action action = MA_ACTION_PAUSE; action <= MA_ACTION_KILL; action++) {
        if ((guard->seen_actions[guest] & MA_ACTION_BIT(action)) != 0) {
            return action;
        }
    }
    return MA_ACTION_COUNT;
}

/* Each member by the same action, or none of them. */
static enum ma_reason
whole_group_reason(const struct ma_guard *guard, uint32_t guest, enum ma_action action) {
    const struct ma_groups *groups = &guard->study.groups;
    uint32_t index = groups->group_of[guest];
    const struct ma_group *group;

    if (index == MA_NO_GROUP) {
        return MA_REASON_NONE;
    }
    group = &groups->groups[index];
    if (group->excluded_because != MA_REASON_NONE) {
        return group->excluded_because;
    }
    for (uint32_t k = 0; k < group->n_members; k++) {
        if (victim_action_of(guard, groups->members[group->first + k]) != action) {
            return MA_REASON_GROUP_INELIGIBLE;
        }
    }
    return MA_REASON_NONE;
}

static bool guest_serves(const struct ma_guard *guard, uint32_t guest, enum ma_action action) {
    const struct ma_need *need = &guard->study.need;
    struct ma_amounts frees;

    /* Paused and paged out: what goes out serves. */
    if ((guard->seen_actions[guest] & MA_ACTION_BIT(MA_ACTION_RECLAIM)) != 0) {
        return true;
    }
    ma_frees_of_victim(guard->plan, need, &guard->study.facts[guest], action, &frees);
    for (size_t d = 0; d < guard->plan->n_rows; d++) {
        if (frees.mib[d] > 0 &&
            (need->demand_mib[d] > 0 || ((int) d == need->swap && need->swap_demand_mib > 0))) {
            return true;
        }
    }
    return false;
}

/* A victim that serves no short row dies in vain; of a group, one member has to. */
static bool serves(const struct ma_guard *guard, uint32_t guest, enum ma_action action) {
    const struct ma_groups *groups = &guard->study.groups;
    uint32_t index = groups->group_of[guest];
    const struct ma_group *group;

    if (index == MA_NO_GROUP) {
        return guest_serves(guard, guest, action);
    }
    group = &groups->groups[index];
    for (uint32_t k = 0; k < group->n_members; k++) {
        if (guest_serves(guard, groups->members[group->first + k], action)) {
            return true;
        }
    }
    return false;
}

static enum ma_reason victim_reason(const struct ma_guard *guard, uint32_t guest, bool is_needed) {
    enum ma_action action = victim_action_of(guard, guest);
    enum ma_reason reason = whole_group_reason(guard, guest, action);

    if (!is_needed) {
        return MA_REASON_GENTLE_SUFFICES;
    }
    if (reason != MA_REASON_NONE) {
        return reason;
    }
    return serves(guard, guest, action) ? MA_REASON_NONE : MA_REASON_NO_LONGER_NEEDED;
}

bool ma_guard_is_paired_reclaim(const struct ma_guard *guard, const struct ma_plan_action *action) {
    return action->action == MA_ACTION_RECLAIM &&
           victim_action_of(guard, action->guest) != MA_ACTION_COUNT;
}

void ma_guard_victims(struct ma_guard *guard) {
    struct ma_plan *plan = guard->plan;
    bool *keep = ma_arena_take(&guard->study.arena, plan->n_actions, sizeof(*keep));
    bool is_needed;

    if (!has_victim(plan)) {
        return;
    }
    is_needed = keep != NULL && !ma_guard_gentle_suffices(guard);
    for (size_t k = 0; k < plan->n_actions && keep != NULL; k++) {
        struct ma_plan_action *action = &plan->actions[k];
        enum ma_reason reason;

        keep[k] = true;
        if (!ma_action_is_victim(action->action) && !ma_guard_is_paired_reclaim(guard, action)) {
            continue;
        }
        /* A reclaim that was to follow a pause is measured for a guest that stands still: out with it. */
        reason = victim_reason(guard, action->guest, is_needed);
        if (reason != MA_REASON_NONE) {
            ma_guard_note(guard, action, reason, 0);
            keep[k] = false;
        }
    }
    if (keep == NULL) {
        plan->n_actions = 0;
        return;
    }
    ma_guard_compact(guard, keep);
}
