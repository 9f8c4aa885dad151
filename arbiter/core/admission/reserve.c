/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reserve.c - demands and reservations.
 *
 * A guest that was let in takes its memory over seconds: until then "available" shows what is no longer free. Each
 * reservation stands for the difference, so that two starts at the same moment are not both given the same bytes.
 *
 *   I1  what is held for a guest falls by what the host measures in its process, and never by what anybody says
 *   I2  a reservation ends: when the guest has it, when the guest was seen and is gone, or when its time is over; of a guest
 *       that does not run yet that is later while it fills, with a bound
 *   I3  one per uuid: restore and migration ask twice (their own operation, then prepare, as of any start). The second
 *       replaces the first, but holds no less while the guest was not seen: what is restored comes with all of its memory
 *
 * Rejected: holding until the guest has touched its guarantee. An idle guest never does, and the host would stay
 * promised for ever; what it may still claim is what the ladder and, in strict mode, the commitments are for. */
#include "reserve.h"

#include <string.h>

#include "bytes.h"
#include "names.h"

/* The kernel tells a process' start in ticks of 10 ms, and clocks are read one after the other. Too small: a guest is
 * not known again and what it has is held twice until the time is over; too large: a guest that was ended a moment ago
 * is taken for the new one. */
#define START_TOLERANCE_USEC (100 * MA_USEC_PER_MSEC)

static const char *const operations[] = {
    [MA_DEMAND_START] = "start", [MA_DEMAND_RESTORE] = "restore", [MA_DEMAND_MIGRATE] = "migrate"};
static const struct ma_names operation_names = {operations, MA_DEMAND_OPERATION_COUNT};

const char *ma_demand_operation_name(enum ma_demand_operation operation) {
    return ma_names_at(&operation_names, (unsigned) operation);
}

int ma_demand_operation_from_name(const char *name) {
    return ma_names_find(&operation_names, name);
}

/* The part of that kind, or NULL: it is new. */
static struct ma_demand_part *find_part(struct ma_demand *demand,
                                        const struct ma_demand_part *part) {
    for (uint32_t i = 0; i < demand->n_parts; i++) {
        if (demand->parts[i].page_bytes == part->page_bytes &&
            demand->parts[i].node_mask == part->node_mask) {
            return &demand->parts[i];
        }
    }
    return NULL;
}

void ma_demand_add(struct ma_demand *demand, const struct ma_demand_part *part) {
    const struct ma_demand_part anywhere = {.bytes = part->bytes};
    if (part->bytes == 0) {
        return;
    }
    struct ma_demand_part *at = find_part(demand, part);
    /* the last place is kept for what has none */
    if (at == NULL && demand->n_parts + 1 >= MA_DEMAND_PARTS_MAX) {
        part = &anywhere;
        at = find_part(demand, part);
    }
    if (at == NULL) {
        demand->parts[demand->n_parts++] = *part;
    } else {
        at->bytes = ma_min_u64(ma_add_sat(at->bytes, part->bytes), MA_BYTES_MAX);
    }
}

uint64_t ma_demand_ordinary_bytes(const struct ma_demand *demand) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < demand->n_parts; i++) {
        sum = ma_add_sat(sum, demand->parts[i].page_bytes == 0 ? demand->parts[i].bytes : 0);
    }
    return ma_min_u64(sum, MA_BYTES_MAX);
}

static size_t find(const struct ma_reservations *reservations, const char *uuid) {
    for (size_t i = 0; i < reservations->n; i++) {
        if (strcmp(reservations->items[i].uuid, uuid) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void remove_at(struct ma_reservations *reservations, size_t at) {
    reservations->n--;
    memmove(&reservations->items[at], &reservations->items[at + 1],
            (reservations->n - at) * sizeof(reservations->items[0]));
}

/* I3: the same guest, asked for a moment ago. */
static struct ma_reservation merged(const struct ma_reservation *earlier,
                                    const struct ma_reservation *later) {
    struct ma_reservation r = *later;
    if (earlier->is_seen || earlier->need_bytes <= later->need_bytes) {
        return r;
    }
    r.need_bytes = earlier->need_bytes;
    r.n_parts = earlier->n_parts;
    memcpy(r.parts, earlier->parts, sizeof(r.parts));
    r.committed_bytes = ma_max_u64(r.committed_bytes, earlier->committed_bytes);
    r.pinned_bytes = ma_max_u64(r.pinned_bytes, earlier->pinned_bytes);
    r.least_left_bytes = ma_max_u64(r.least_left_bytes, earlier->least_left_bytes);
    return r;
}

void ma_reservations_put(struct ma_reservations *reservations,
                         const struct ma_reservation *reservation) {
    size_t at = find(reservations, reservation->uuid);
    struct ma_reservation fresh =
        at != SIZE_MAX ? merged(&reservations->items[at], reservation) : *reservation;
    (void) ma_reservations_drop(reservations, reservation->uuid);
    if (reservations->n == MA_RESERVATIONS_MAX) {
        remove_at(reservations, 0);
    }
    reservations->items[reservations->n++] = fresh;
}

bool ma_reservations_drop(struct ma_reservations *reservations, const char *uuid) {
    size_t at = find(reservations, uuid);
    if (at != SIZE_MAX) {
        remove_at(reservations, at);
    }
    return at != SIZE_MAX;
}

/* The process that it was made for. An older one of the same uuid is a guest that ends while it is started anew: what
 * that holds is not what is waited for. */
static const struct ma_guest *guest_of(const struct ma_reservation *reservation,
                                       const struct ma_snapshot *snapshot) {
    size_t at = ma_snapshot_find(snapshot, reservation->uuid);
    if (at == SIZE_MAX) {
        return NULL;
    }
    const struct ma_guest *guest = &snapshot->guests[at];
    uint64_t age = ma_sub_floor0(snapshot->taken_at_usec, reservation->made_usec);
    bool is_older = (guest->has & MA_GUEST_HAS_UPTIME) != 0 &&
                    guest->uptime_usec > ma_add_sat(age, START_TOLERANCE_USEC);
    return is_older ? NULL : guest;
}

uint64_t ma_reservation_left_bytes(const struct ma_reservation *reservation,
                                   const struct ma_snapshot *snapshot) {
    const struct ma_guest *guest = guest_of(reservation, snapshot);
    uint64_t has = guest != NULL ? ma_add_sat(guest->resident_bytes, guest->swap_bytes) : 0;
    return ma_sub_floor0(reservation->need_bytes, has);
}

static uint64_t whole_huge_bytes(const struct ma_reservation *reservation) {
    uint64_t need = 0;
    for (uint32_t i = 0; i < reservation->n_parts; i++) {
        need = ma_add_sat(need,
                          reservation->parts[i].page_bytes != 0 ? reservation->parts[i].bytes : 0);
    }
    return need;
}

uint64_t ma_reservation_whole_bytes(const struct ma_reservation *reservation) {
    return ma_min_u64(ma_add_sat(reservation->need_bytes, whole_huge_bytes(reservation)),
                      MA_BYTES_MAX);
}

uint64_t ma_reservation_left_huge_bytes(const struct ma_reservation *reservation,
                                        const struct ma_snapshot *snapshot) {
    const struct ma_guest *guest = guest_of(reservation, snapshot);
    return ma_sub_floor0(whole_huge_bytes(reservation), guest != NULL ? guest->hugepage_bytes : 0);
}

/* Looked at once half of the time is over, so that there is not news of it in each cycle. */
static bool give_time(struct ma_reservation *r, const struct ma_snapshot *snapshot) {
    const struct ma_guest *guest = guest_of(r, snapshot);
    uint64_t now = snapshot->taken_at_usec;
    uint64_t most = ma_add_sat(r->made_usec, ma_mul_sat(r->hold_usec, MA_RESERVATION_MOST_TIMES));
    uint64_t until = ma_min_u64(ma_add_sat(now, r->hold_usec), most);
    if (guest == NULL || guest->state == MA_GUEST_RUNNING || until <= r->expires_usec ||
        ma_sub_floor0(r->expires_usec, now) > r->hold_usec / 2) {
        return false;
    }
    uint64_t left = ma_add_sat(ma_reservation_left_bytes(r, snapshot),
                               ma_reservation_left_huge_bytes(r, snapshot));
    if (left >= r->least_left_bytes) {
        return false;
    }
    r->least_left_bytes = left;
    r->expires_usec = until;
    return true;
}

static bool is_over(const struct ma_reservation *reservation, const struct ma_snapshot *snapshot) {
    bool is_there = guest_of(reservation, snapshot) != NULL;
    return snapshot->taken_at_usec >= reservation->expires_usec ||
           (reservation->is_seen && !is_there) ||
           (is_there && ma_reservation_left_bytes(reservation, snapshot) == 0 &&
            ma_reservation_left_huge_bytes(reservation, snapshot) == 0);
}

bool ma_reservations_settle(struct ma_reservations *reservations,
                            const struct ma_snapshot *snapshot) {
    bool has_changed = false;
    for (size_t i = reservations->n; i > 0; i--) {
        struct ma_reservation *reservation = &reservations->items[i - 1];
        has_changed = give_time(reservation, snapshot) || has_changed;
        if (is_over(reservation, snapshot)) {
            remove_at(reservations, i - 1);
            has_changed = true;
        } else if (!reservation->is_seen && guest_of(reservation, snapshot) != NULL) {
            reservation->is_seen = true;
            has_changed = true;
        }
    }
    return has_changed;
}
