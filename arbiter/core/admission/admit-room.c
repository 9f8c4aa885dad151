/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* admit-room.c - what is there for a starting guest.
 *
 *   room(ram)  = available + returnable - reserve - held for others on their way
 *   room(node) = the same with the node's available, its share of the reserve, and the part of each guest's returnable
 *                memory that lies on it
 *
 * returnable: what balloons can take from the guests that run without going below a guarantee or what a guest uses
 * (facts.c, P2). It counts only while balloons may be moved at all (Arm=). A demand's own uuid is left out everywhere: a
 * guest that is started anew competes with nobody but others. Swap is not counted: a guest that starts on swap starts
 * a shortage. */
#include <string.h>

#include "admit-internal.h"
#include "bytes.h"
#include "facts.h"

static uint64_t returnable_bytes(const struct ma_admit_input *input, const struct ma_guest *guest) {
    struct ma_facts facts;
    ma_facts_of_guest(input->snapshot, input->state, guest,
                      ma_state_find(input->state, guest->uuid), &facts);
    if (facts.balloon_reason != MA_REASON_NONE || !facts.has_claims) {
        return 0;
    }
    return ma_min_u64(facts.returnable_bytes, ma_sub_floor0(facts.whole_bytes, facts.floor_bytes));
}

static void
add_guest(struct ma_admit_room *room, const struct ma_guest *guest, uint64_t returnable) {
    room->ram_bytes = ma_add_sat(room->ram_bytes, returnable);
    for (size_t i = 0; i < guest->n_nodes && guest->resident_bytes > 0; i++) {
        uint16_t id = guest->nodes[i].id;
        if (id < MA_DEMAND_NODES_MAX) {
            uint64_t there = ma_min_u64(guest->nodes[i].resident_bytes, guest->resident_bytes);
            room->node_bytes[id] = ma_add_sat(
                room->node_bytes[id], ma_muldiv_sat(returnable, there, guest->resident_bytes));
        }
    }
}

static bool is_other(const struct ma_reservation *reservation, const struct ma_demand *demand) {
    return strcmp(reservation->uuid, demand->uuid) != 0;
}

static uint64_t held_bytes(const struct ma_admit_input *input, const struct ma_demand *demand) {
    uint64_t held = 0;
    for (size_t i = 0; i < input->reservations->n; i++) {
        const struct ma_reservation *reservation = &input->reservations->items[i];
        if (is_other(reservation, demand)) {
            held = ma_add_sat(held, ma_reservation_left_bytes(reservation, input->snapshot));
        }
    }
    return held;
}

void ma_admit_room_of(const struct ma_admit_input *input,
                      const struct ma_demand *demand,
                      struct ma_admit_room *ret) {
    const struct ma_snapshot *snapshot = input->snapshot;
    const struct ma_host *host = &snapshot->host;
    memset(ret, 0, sizeof(*ret));
    ret->ram_bytes = host->available_bytes;
    for (size_t i = 0; i < host->n_nodes; i++) {
        if (host->nodes[i].id < MA_DEMAND_NODES_MAX) {
            ret->known_nodes |= UINT64_C(1) << host->nodes[i].id;
            ret->node_bytes[host->nodes[i].id] = host->nodes[i].available_bytes;
        }
    }
    for (size_t i = 0; i < snapshot->n_guests && snapshot->settings.arm > MA_ARM_OBSERVE; i++) {
        if (strcmp(snapshot->guests[i].uuid, demand->uuid) != 0) {
            add_guest(ret, &snapshot->guests[i], returnable_bytes(input, &snapshot->guests[i]));
        }
    }
    uint64_t kept = snapshot->settings.reserve_bytes;
    ret->ram_bytes = ma_sub_floor0(ret->ram_bytes, ma_add_sat(kept, held_bytes(input, demand)));
    for (size_t i = 0; i < host->n_nodes && host->total_bytes > 0; i++) {
        uint16_t id = host->nodes[i].id;
        if (id < MA_DEMAND_NODES_MAX) {
            uint64_t share = ma_muldiv_sat(kept, host->nodes[i].total_bytes, host->total_bytes);
            ret->node_bytes[id] = ma_sub_floor0(ret->node_bytes[id], share);
        }
    }
}

/* What is still to come of its ordinary memory that is bound within the mask. */
static uint64_t held_within(const struct ma_admit_input *input,
                            const struct ma_reservation *reservation,
                            uint64_t node_mask) {
    uint64_t bound = 0;
    for (uint32_t i = 0; i < reservation->n_parts; i++) {
        const struct ma_demand_part *part = &reservation->parts[i];
        if (part->page_bytes == 0 && part->node_mask != 0 && (part->node_mask & ~node_mask) == 0) {
            bound = ma_add_sat(bound, part->bytes);
        }
    }
    uint64_t left = ma_reservation_left_bytes(reservation, input->snapshot);
    return reservation->need_bytes > 0 ? ma_muldiv_sat(bound, left, reservation->need_bytes) : 0;
}

uint64_t ma_admit_node_room_bytes(const struct ma_admit_input *input,
                                  const struct ma_demand *demand,
                                  const struct ma_admit_room *room,
                                  uint64_t node_mask) {
    uint64_t there = 0;
    for (unsigned id = 0; id < MA_DEMAND_NODES_MAX; id++) {
        if ((node_mask >> id & 1U) != 0) {
            there = ma_add_sat(there, room->node_bytes[id]);
        }
    }
    for (size_t i = 0; i < input->reservations->n; i++) {
        const struct ma_reservation *reservation = &input->reservations->items[i];
        if (is_other(reservation, demand)) {
            there = ma_sub_floor0(there, held_within(input, reservation, node_mask));
        }
    }
    return there;
}

/* Its huge pages of that size within the mask (any: 0), as far as they are still to come. */
static uint64_t huge_held_within(const struct ma_admit_input *input,
                                 const struct ma_reservation *reservation,
                                 uint64_t page_bytes,
                                 uint64_t node_mask) {
    uint64_t all = 0;
    uint64_t within = 0;
    for (uint32_t i = 0; i < reservation->n_parts; i++) {
        const struct ma_demand_part *part = &reservation->parts[i];
        if (part->page_bytes == 0) {
            continue;
        }
        all = ma_add_sat(all, part->bytes);
        bool is_within =
            node_mask == 0 || (part->node_mask != 0 && (part->node_mask & ~node_mask) == 0);
        if (part->page_bytes == page_bytes && is_within) {
            within = ma_add_sat(within, part->bytes);
        }
    }
    uint64_t left = ma_reservation_left_huge_bytes(reservation, input->snapshot);
    return all > 0 ? ma_muldiv_sat(within, left, all) : 0;
}

uint64_t ma_admit_pool_room_bytes(const struct ma_admit_input *input,
                                  const struct ma_demand *demand,
                                  uint64_t page_bytes,
                                  uint64_t node_mask) {
    uint64_t there = 0;
    uint64_t owned = 0;
    for (size_t i = 0; i < input->n_pools; i++) {
        const struct ma_admit_pool *pool = &input->pools[i];
        bool is_anywhere = pool->node == MA_ADMIT_POOL_ANYWHERE;
        bool is_in = is_anywhere || node_mask == 0 ||
                     (pool->node < MA_DEMAND_NODES_MAX && (node_mask >> pool->node & 1U) != 0);
        if (pool->page_bytes == page_bytes && is_in) {
            there = ma_add_sat(there, pool->free_bytes);
            owned = ma_add_sat(owned, is_anywhere ? pool->owned_bytes : 0);
        }
    }
    for (size_t i = 0; i < input->reservations->n; i++) {
        const struct ma_reservation *reservation = &input->reservations->items[i];
        if (is_other(reservation, demand)) {
            owned = ma_add_sat(owned, huge_held_within(input, reservation, page_bytes, node_mask));
        }
    }
    return ma_sub_floor0(there, owned);
}
