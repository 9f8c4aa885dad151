/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rebalance.c - a short node relieved by pages that may as well lie elsewhere.
 *
 * The cheapest way out of a node's shortage where there is one: nobody loses memory, some accesses become remote. So it
 * is planned before the planner covers what is left, and is no option among those that it weighs: it returns nothing of
 * host RAM, and what it takes it takes from another node.
 *
 *  R1  only guests whose placement is preferred or not given: a strict or interleaved one is where its operator put it
 *  R2  never pinned, locked, huge-page or confidential memory; nobody held, stale or in motion; nobody who allows no
 *      action at all
 *  R3  the other node stays above its soft watermark, an eighth of it and ten seconds of its own loss beside
 *  R4  one step at a time on the whole host, at most MA_REBALANCE_STEP_BYTES; the next one on figures of after it
 *  R5  no more than the short node needs to be calm again
 *
 * Nothing of this is owed (P6): the guest has all its memory. Its policy is not changed, so new faults go to its node
 * again, and the kernel's own balancing may bring pages back. Moving them back ourselves is left out: on a host that is
 * near its limits it would swing. */
#include "rebalance.h"

#include <string.h>

#include "bytes.h"

/* Both nodes keep this share of their soft watermark above it. Too small: the state flaps; too large: more is moved than
 * needed. As the division does. */
#define HEADROOM_DIVISOR 8
#define LOOK_AHEAD_USEC  (UINT64_C(10) * MA_USEC_PER_SEC)

enum ma_reason ma_rebalance_reason(const struct ma_snapshot *snapshot,
                                   const struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;
    const struct ma_guest_memory *memory = facts->memory;
    const uint32_t immovable = MA_INHIBITOR_VFIO | MA_INHIBITOR_VDPA | MA_INHIBITOR_LOCKED |
                               MA_INHIBITOR_HUGEPAGES | MA_INHIBITOR_CONFIDENTIAL;
    uint64_t now = snapshot->taken_at_usec;

    if (facts->hold_reason != MA_REASON_NONE) {
        return facts->hold_reason;
    }
    if ((guest->has & MA_GUEST_HAS_PLACEMENT) == 0) {
        return MA_REASON_MISSING_FIGURES;
    }
    if (guest->placement != MA_PLACEMENT_PREFERRED && guest->placement != MA_PLACEMENT_DEFAULT) {
        return MA_REASON_PLACEMENT;
    }
    if (guest->pinned_bytes > 0 || guest->hugepage_bytes > 0 ||
        (guest->balloon.inhibited_by & immovable) != 0) {
        return MA_REASON_INHIBITED;
    }
    if ((guest->config.has & MA_CONFIG_HAS_ACTIONS) != 0 && guest->config.actions == 0) {
        return MA_REASON_NO_ACTION_ALLOWED;
    }
    if (memory != NULL && memory->refused_until_usec > now &&
        (memory->refused_actions & MA_ACTION_BIT(MA_ACTION_REBALANCE)) != 0) {
        return MA_REASON_NO_ACTION_ALLOWED;
    }
    if (memory != NULL &&
        (memory->reclaim_until_usec > now || memory->rebalance_until_usec > now)) {
        return MA_REASON_IN_FLIGHT;
    }
    return MA_REASON_NONE;
}

static uint64_t resident_on(const struct ma_guest *guest, uint16_t node) {
    for (size_t k = 0; k < guest->n_nodes; k++) {
        if (guest->nodes[k].id == node) {
            return guest->nodes[k].resident_bytes;
        }
    }
    return 0;
}

/* What the node lacks to be calm again. */
static uint64_t wanted_bytes(const struct ma_resource *node) {
    return ma_sub_floor0(node->soft_bytes + node->soft_bytes / HEADROOM_DIVISOR,
                         node->available_bytes);
}

static uint64_t room_bytes(const struct ma_need *need, size_t d) {
    const struct ma_resource *node = &need->resources[d];
    uint64_t keep = node->soft_bytes / HEADROOM_DIVISOR;

    if (node->has_slope && node->slope_bytes_per_s < 0) {
        keep = ma_add_sat(keep, ma_muldiv_sat((uint64_t) 0 - (uint64_t) node->slope_bytes_per_s,
                                              LOOK_AHEAD_USEC, MA_USEC_PER_SEC));
    }
    return ma_sub_floor0((uint64_t) need->slack_mib[d] * MA_MIB, keep);
}

static bool is_node(const struct ma_plan *plan, size_t d) {
    return plan->rows[d].kind == MA_ROW_NODE && plan->rows[d].within_ms == 0;
}

/* The node that lacks most, and the one with most room. */
static bool
find_nodes(const struct ma_need *need, const struct ma_plan *plan, struct ma_rebalance *move) {
    uint64_t most_wanted = 0;
    uint64_t most_room = 0;

    for (size_t d = 0; d < plan->n_rows; d++) {
        if (!is_node(plan, d)) {
            continue;
        }
        if (plan->row_pressure[d] >= MA_PRESSURE_HARD && need->resources[d].counts &&
            wanted_bytes(&need->resources[d]) > most_wanted) {
            most_wanted = wanted_bytes(&need->resources[d]);
            move->from_row = d;
        } else if (plan->row_pressure[d] == MA_PRESSURE_NORMAL && room_bytes(need, d) > most_room) {
            most_room = room_bytes(need, d);
            move->to_row = d;
        }
    }
    return ma_min_u64(most_wanted, most_room) >= MA_REBALANCE_MIN_BYTES;
}

static bool is_any_under_way(const struct ma_snapshot *snapshot, const struct ma_facts *facts) {
    for (size_t i = 0; i < snapshot->n_guests; i++) {
        if (facts[i].memory != NULL &&
            facts[i].memory->rebalance_until_usec > snapshot->taken_at_usec) {
            return true;
        }
    }
    return false;
}

/* One without a wish of its own goes before one that prefers its node, then the one with most there. */
static bool find_guest(const struct ma_snapshot *snapshot,
                       const struct ma_facts *facts,
                       uint16_t node,
                       struct ma_rebalance *move) {
    bool is_found = false;
    bool has_wish = false;

    for (size_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_guest *guest = &snapshot->guests[i];
        uint64_t there = resident_on(guest, node);
        bool wishes = guest->placement == MA_PLACEMENT_PREFERRED;
        bool is_better =
            !is_found || (has_wish && !wishes) || (has_wish == wishes && there > move->from_bytes);

        if (there >= MA_REBALANCE_MIN_BYTES && is_better &&
            ma_rebalance_reason(snapshot, &facts[i]) == MA_REASON_NONE) {
            is_found = true;
            has_wish = wishes;
            move->guest = (uint32_t) i;
            move->from_bytes = there;
        }
    }
    return is_found;
}

void ma_rebalance_frees(const struct ma_need *need,
                        const struct ma_rebalance *move,
                        uint64_t bytes,
                        struct ma_amounts *ret) {
    uint64_t landed =
        ma_muldiv_sat(MA_REBALANCE_RATE_BYTES_PER_S, need->window_usec, MA_USEC_PER_SEC);

    memset(ret, 0, sizeof(*ret));
    ret->mib[move->from_row] = (int64_t) ma_mib_down(ma_min_u64(bytes, landed));
    ret->mib[move->to_row] = -(int64_t) ma_mib_up(bytes);
}

void ma_rebalance_find(const struct ma_snapshot *snapshot,
                       const struct ma_facts *facts,
                       const struct ma_need *need,
                       const struct ma_plan *plan,
                       struct ma_rebalance *ret) {
    struct ma_rebalance move = {.is_planned = true};
    uint64_t bytes;

    memset(ret, 0, sizeof(*ret));
    if (!find_nodes(need, plan, &move) || is_any_under_way(snapshot, facts) ||
        !find_guest(snapshot, facts, plan->rows[move.from_row].node, &move)) {
        return;
    }
    bytes =
        ma_min_u64(wanted_bytes(&need->resources[move.from_row]), room_bytes(need, move.to_row));
    bytes = ma_min_u64(ma_min_u64(bytes, move.from_bytes), MA_REBALANCE_STEP_BYTES);
    bytes = ma_round_down(bytes, MA_MIB);
    move.to_bytes = move.from_bytes - bytes;
    ma_rebalance_frees(need, &move, bytes, &move.frees);
    *ret = move;
}

int64_t
ma_rebalance_in_flight(const struct ma_facts *facts, const struct ma_row *row, uint64_t now_usec) {
    const struct ma_guest_memory *memory = facts->memory;
    uint64_t left;

    if (memory == NULL || memory->rebalance_until_usec <= now_usec || row->kind != MA_ROW_NODE) {
        return 0;
    }
    left = ma_sub_floor0(resident_on(facts->guest, (uint16_t) memory->rebalance_from_node),
                         memory->rebalance_to_bytes);
    if (row->node == memory->rebalance_from_node) {
        return (int64_t) left;
    }
    return row->node == memory->rebalance_to_node ? -(int64_t) left : 0;
}

bool ma_rebalance_nodes(const struct ma_plan *plan,
                        const struct ma_plan_action *action,
                        uint16_t *ret_from,
                        uint16_t *ret_to) {
    bool has_from = false;
    bool has_to = false;

    for (size_t d = 0; d < plan->n_rows; d++) {
        if (!is_node(plan, d) || action->frees.mib[d] == 0) {
            continue;
        }
        if (action->frees.mib[d] > 0) {
            *ret_from = plan->rows[d].node;
            has_from = true;
        } else {
            *ret_to = plan->rows[d].node;
            has_to = true;
        }
    }
    return has_from && has_to;
}
