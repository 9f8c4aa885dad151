/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guard-order.c - the order of execution. What frees comes first, quick ways before slow ones; victims behind all
 * gentle ways, a group's members together; what gives back comes last. Among victims: `first` guests, then the
 * culprit, then by latency, then the cheapest: the plan is made anew after each, and what needs no more victims then
 * was spared its dearest ones. */
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "guard-internal.h"

struct order_key {
    uint64_t rank;   /* class, first, culprit, latency */
    uint64_t impact; /* of the victim, its whole group counted */
    uint32_t cluster;
    uint32_t position; /* in the proposal: keeps the order of equals */
};

static unsigned latency_of(enum ma_action action) {
    static const unsigned char latencies[MA_ACTION_COUNT] = {
        [MA_ACTION_BALLOON] = 0, [MA_ACTION_RESIZE] = 1,    [MA_ACTION_RECLAIM] = 2,
        [MA_ACTION_PAUSE] = 0,   [MA_ACTION_KILL] = 1,      [MA_ACTION_SHUTDOWN] = 2,
        [MA_ACTION_SAVE] = 3,    [MA_ACTION_EXHAUSTED] = 4, [MA_ACTION_REBALANCE] = 2,
    };

    return latencies[action];
}

static unsigned class_of(const struct ma_guard *guard, const struct ma_plan_action *action) {
    bool is_growth = action->has_from_to && action->to_bytes > action->from_bytes;

    if (ma_action_is_victim(action->action) || ma_guard_is_paired_reclaim(guard, action)) {
        return 1;
    }
    if (action->action == MA_ACTION_RECLAIM) {
        return 0;
    }
    if (action->action == MA_ACTION_EXHAUSTED) {
        return 4;
    }
    if (action->action == MA_ACTION_RESUME) {
        return 2;
    }
    return is_growth ? 3 : 0;
}

static struct order_key key_of(const struct ma_guard *guard,
                               const uint64_t *cluster_impact,
                               const struct ma_plan_action *action,
                               uint32_t position) {
    unsigned class = class_of(guard, action);
    struct order_key key = {.position = position};
    bool is_paired = class == 1 && action->action == MA_ACTION_RECLAIM;
    bool is_later;

    key.rank = (uint64_t) class << 32;
    if (class == 1) {
        key.cluster = ma_guard_cluster(guard, action->guest);
        key.impact = cluster_impact[key.cluster];
        is_later = guard->study.facts[key.cluster].guest->config.impact_class != MA_IMPACT_FIRST;
        key.rank |= (uint64_t) is_later << 24;
        key.rank |= (uint64_t) (action->reason != MA_REASON_CULPRIT &&
                                action->reason != MA_REASON_PAUSE_EXPIRED)
                    << 16;
        /* A pause's page-out stands behind its pause, in the same victim. */
        key.rank |= (uint64_t) (is_paired ? 0 : latency_of(action->action)) << 8;
    } else {
        key.rank |= (uint64_t) latency_of(action->action) << 8;
    }
    return key;
}

static bool is_before(const struct order_key *a, const struct order_key *b) {
    if (a->rank != b->rank) {
        return a->rank < b->rank;
    }
    if (a->impact != b->impact) {
        return a->impact < b->impact;
    }
    if (a->cluster != b->cluster) {
        return a->cluster < b->cluster;
    }
    return a->position < b->position;
}

static void sift_down(struct order_key *heap, size_t at, size_t n) {
    for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        struct order_key moved = heap[at];

        if (child + 1 < n && is_before(&heap[child], &heap[child + 1])) {
            child++;
        }
        if (!is_before(&heap[at], &heap[child])) {
            return;
        }
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

static void sort_keys(struct order_key *keys, size_t n) {
    for (size_t k = n / 2; k > 0; k--) {
        sift_down(keys, k - 1, n);
    }
    for (size_t k = n; k > 1; k--) {
        struct order_key last = keys[k - 1];

        keys[k - 1] = keys[0];
        keys[0] = last;
        sift_down(keys, 0, k - 1);
    }
}

static void sum_impacts(const struct ma_guard *guard, uint64_t *cluster_impact) {
    const struct ma_plan *plan = guard->plan;

    memset(cluster_impact, 0, guard->input->snapshot->n_guests * sizeof(*cluster_impact));
    for (size_t k = 0; k < plan->n_actions; k++) {
        if (plan->actions[k].has_guest && class_of(guard, &plan->actions[k]) == 1) {
            uint64_t *sum = &cluster_impact[ma_guard_cluster(guard, plan->actions[k].guest)];

            *sum = ma_add_sat(*sum, plan->actions[k].impact);
        }
    }
}

int ma_guard_order(struct ma_guard *guard) {
    struct ma_plan *plan = guard->plan;
    struct ma_arena *arena = &guard->study.arena;
    struct order_key *keys = ma_arena_take(arena, plan->n_actions, sizeof(*keys));
    struct ma_plan_action *copy = ma_arena_take(arena, plan->n_actions, sizeof(*copy));
    uint64_t *cluster_impact =
        ma_arena_take(arena, guard->input->snapshot->n_guests, sizeof(*cluster_impact));

    if (keys == NULL || copy == NULL || cluster_impact == NULL) {
        return -ENOSPC;
    }
    sum_impacts(guard, cluster_impact);
    for (size_t k = 0; k < plan->n_actions; k++) {
        keys[k] = key_of(guard, cluster_impact, &plan->actions[k], (uint32_t) k);
        copy[k] = plan->actions[k];
    }
    sort_keys(keys, plan->n_actions);
    for (size_t k = 0; k < plan->n_actions; k++) {
        plan->actions[k] = copy[keys[k].position];
    }
    return 0;
}
