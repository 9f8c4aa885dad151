/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guard-gentle.c - P2 on what moves a guest's memory: floors, ceilings, and nothing that returns nothing. */
#include <string.h>

#include "bytes.h"
#include "guard-internal.h"

static bool refuse(struct ma_guard *guard, struct ma_plan_action *action, enum ma_reason reason) {
    ma_guard_note(guard, action, reason, 0);
    return false;
}

static void grant(struct ma_guard *guard,
                  struct ma_plan_action *action,
                  uint64_t to_bytes,
                  enum ma_reason reason) {
    if (action->to_bytes != to_bytes) {
        ma_guard_note(guard, action, reason, to_bytes);
        action->to_bytes = to_bytes;
    }
}

/* Its ceiling, or what it had before we took from it. */
static uint64_t balloon_ceiling(const struct ma_facts *facts) {
    const struct ma_guest_memory *memory = facts->memory;

    if (memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0) {
        return ma_min_u64(facts->guest->max_bytes,
                          ma_max_u64(facts->ceiling_bytes, memory->balloon_before_bytes));
    }
    return facts->ceiling_bytes;
}

static enum ma_reason growth_reason(const struct ma_facts *facts) {
    const struct ma_balloon *balloon = &facts->guest->balloon;

    if (facts->hold_reason != MA_REASON_NONE) {
        return facts->hold_reason;
    }
    if ((balloon->has & MA_BALLOON_HAS_STATE) == 0 || balloon->state == MA_BALLOON_ABSENT) {
        return MA_REASON_NO_BALLOON;
    }
    if ((facts->guest->has & MA_GUEST_HAS_MAX) == 0) {
        return MA_REASON_MISSING_FIGURES;
    }
    return MA_REASON_NONE;
}

/* P2; a loan may be taken back. */
static uint64_t balloon_floor(const struct ma_facts *facts) {
    return facts->loan_floor_bytes == 0
               ? facts->balloon_floor_bytes
               : ma_min_u64(facts->balloon_floor_bytes, facts->loan_floor_bytes);
}

bool ma_guard_admit_balloon(struct ma_guard *guard, struct ma_plan_action *action) {
    const struct ma_facts *facts = &guard->study.facts[action->guest];
    uint64_t actual = facts->guest->actual_bytes;
    bool is_growth = action->to_bytes > actual;
    bool is_probe = !is_growth && facts->probe_to_bytes > 0;
    /* Of a balloon that is on its way further down: that leaves the guest more, also where it is below its floor. */
    bool is_stop =
        !is_growth && facts->in_flight_bytes > 0 && action->to_bytes >= facts->committed_bytes;
    enum ma_reason reason = is_growth  ? growth_reason(facts)
                            : is_probe ? MA_REASON_NONE
                                       : facts->balloon_reason;

    if ((facts->guest->has & MA_GUEST_HAS_ACTUAL) == 0) {
        reason = MA_REASON_MISSING_FIGURES;
    }
    if (reason != MA_REASON_NONE) {
        return refuse(guard, action, reason);
    }
    if (is_growth) {
        grant(guard, action, ma_min_u64(action->to_bytes, balloon_ceiling(facts)),
              MA_REASON_WOULD_SHORTEN);
    } else if (!is_stop) {
        grant(guard, action, ma_max_u64(action->to_bytes, balloon_floor(facts)),
              MA_REASON_BELOW_GUARANTEE);
    }
    if (is_probe) {
        grant(guard, action, ma_max_u64(action->to_bytes, facts->probe_to_bytes),
              MA_REASON_UNCOOPERATIVE);
    }
    /* Clamped past where it stands: no move is left. */
    if (is_growth ? action->to_bytes <= actual : action->to_bytes >= actual) {
        return refuse(guard, action,
                      is_growth ? MA_REASON_WOULD_SHORTEN : MA_REASON_BELOW_GUARANTEE);
    }
    action->has_from_to = true;
    action->from_bytes = actual;
    action->has_frees = true;
    ma_frees_of_balloon(guard->plan, &guard->study.need, facts, action->to_bytes, &action->frees);
    return true;
}

static uint64_t resize_ceiling(const struct ma_facts *facts) {
    const struct ma_guest_memory *memory = facts->memory;

    return memory != NULL && (memory->taken & MA_TAKEN_RESIZE) != 0
               ? memory->resize_before_bytes
               : facts->guest->virtio_mem.plugged_bytes;
}

bool ma_guard_admit_resize(struct ma_guard *guard, struct ma_plan_action *action) {
    const struct ma_facts *facts = &guard->study.facts[action->guest];
    const struct ma_virtio_mem *device = &facts->guest->virtio_mem;
    bool is_growth = action->to_bytes > device->plugged_bytes;
    enum ma_reason reason = is_growth ? facts->hold_reason : facts->resize_reason;
    uint64_t lowest;

    if (reason != MA_REASON_NONE || device->block_bytes == 0) {
        return refuse(guard, action, reason != MA_REASON_NONE ? reason : MA_REASON_MISSING_FIGURES);
    }
    lowest = ma_sub_floor0(facts->floor_bytes, facts->guest->actual_bytes);
    if (is_growth) {
        grant(
            guard, action,
            ma_round_down(ma_min_u64(action->to_bytes, resize_ceiling(facts)), device->block_bytes),
            MA_REASON_WOULD_SHORTEN);
    } else {
        grant(guard, action, ma_round_up(ma_max_u64(action->to_bytes, lowest), device->block_bytes),
              MA_REASON_BELOW_GUARANTEE);
    }
    if (is_growth ? action->to_bytes <= device->plugged_bytes
                  : action->to_bytes >= device->plugged_bytes) {
        return refuse(guard, action,
                      is_growth ? MA_REASON_WOULD_SHORTEN : MA_REASON_BELOW_GUARANTEE);
    }
    action->has_from_to = true;
    action->from_bytes = device->plugged_bytes;
    action->has_frees = true;
    ma_frees_of_resize(guard->plan, &guard->study.need, facts, action->to_bytes, &action->frees);
    return true;
}

bool ma_guard_admit_reclaim(struct ma_guard *guard, struct ma_plan_action *action) {
    const struct ma_facts *facts = &guard->study.facts[action->guest];

    if (facts->reclaim_reason != MA_REASON_NONE) {
        return refuse(guard, action, facts->reclaim_reason);
    }
    if (guard->study.need.swap < 0) {
        return refuse(guard, action, MA_REASON_WOULD_SHORTEN);
    }
    grant(guard, action, ma_min_u64(action->to_bytes, facts->returnable_bytes),
          MA_REASON_COLD_PAGES);
    if (action->to_bytes == 0) {
        return false;
    }
    action->has_from_to = true;
    action->from_bytes = 0;
    action->has_frees = true;
    ma_frees_of_reclaim(guard->plan, facts, action->to_bytes, &action->frees);
    return true;
}

/* The step is worked out here once more: a policy may ask for less of it, and for no other. */
bool ma_guard_admit_rebalance(struct ma_guard *guard, struct ma_plan_action *action) {
    const struct ma_rebalance *move = &guard->study.rebalance;
    enum ma_reason reason =
        ma_rebalance_reason(guard->input->snapshot, &guard->study.facts[action->guest]);

    if (reason == MA_REASON_NONE && (!move->is_planned || move->guest != action->guest)) {
        reason = MA_REASON_NO_LONGER_NEEDED;
    }
    if (reason != MA_REASON_NONE) {
        return refuse(guard, action, reason);
    }
    grant(guard, action, ma_max_u64(action->to_bytes, move->to_bytes), MA_REASON_WOULD_SHORTEN);
    if (action->to_bytes >= move->from_bytes) {
        return refuse(guard, action, MA_REASON_NO_LONGER_NEEDED);
    }
    action->has_from_to = true;
    action->from_bytes = move->from_bytes;
    action->has_frees = true;
    ma_rebalance_frees(&guard->study.need, move, move->from_bytes - action->to_bytes,
                       &action->frees);
    return true;
}
