/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* admit.c - the verdict on one start. The counterpart of the kernel's overcommit modes, for guests.
 *
 *   need       = max(guarantee, pins) + what QEMU takes; a guest that comes with its memory (restore, migration) needs
 *                at least what it has
 *   commitment = max(guarantee, pins) where a balloon can take back the rest, else all of its ordinary memory
 *
 *   heuristic  need <= room of the host (admit-room.c); likewise of the nodes that a part of it is bound to; huge pages
 *              <= free ones of that size; pins <= its own limit and the host's budget
 *   strict     all that, and the sum of all commitments <= capacity = total - reserve - what the host itself uses
 *   always     tells all that and refuses for none of it
 *
 * A guest that memarb ended is judged harder: not before readmit_after, not during an incident, and in `always` too only
 * with room. Its software restarts it at once as a rule, and the host is then as short as before, less a guest.
 *
 *   I1  figures that are missing or stale refuse nothing (P5: no guess), and are told
 *   I2  the demand's own uuid competes with nobody: what runs under it, and what is held for it, is left out
 *   I3  each reason is looked at: an operator who mends one must not meet the next on the second try
 *
 * Pins count as resident from the start: VFIO and mlock fault everything in. Huge pages count in their pools alone; the
 * pools are already out of what is available. */
#include "admit.h"

#include <string.h>

#include "admit-internal.h"
#include "bytes.h"
#include "names.h"

static const char *const modes[] = {
    [MA_ADMIT_HEURISTIC] = "heuristic", [MA_ADMIT_ALWAYS] = "always", [MA_ADMIT_STRICT] = "strict"};
static const struct ma_names mode_names = {modes, MA_ADMIT_MODE_COUNT};

static const char *const reasons[] = {
    [MA_ADMIT_NO_ROOM] = "no-room",
    [MA_ADMIT_NO_COMMITMENT] = "no-commitment",
    [MA_ADMIT_NO_NODE] = "no-room-on-node",
    [MA_ADMIT_NO_HUGEPAGES] = "no-hugepages",
    [MA_ADMIT_PIN_LIMIT] = "pin-limit",
    [MA_ADMIT_PIN_BUDGET] = "pin-budget",
    [MA_ADMIT_KERNEL_COMMIT] = "kernel-commit",
    [MA_ADMIT_READMIT] = "readmit",
    [MA_ADMIT_INCIDENT] = "incident",
    [MA_ADMIT_MEMLOCK_TOO_HIGH] = "memlock-above-host",
    [MA_ADMIT_STALE_HOST] = "host-stale",
};
static const struct ma_names reason_names = {reasons, MA_ADMIT_REASON_COUNT};

const char *ma_admit_mode_name(enum ma_admit_mode mode) {
    return ma_names_at(&mode_names, (unsigned) mode);
}

const char *ma_admit_reason_name(enum ma_admit_reason reason) {
    return ma_names_at(&reason_names, (unsigned) reason);
}

static void add(struct ma_admit_verdict *verdict, const struct ma_admit_finding *finding) {
    if (verdict->n_findings < MA_ADMIT_FINDINGS_MAX) {
        verdict->findings[verdict->n_findings++] = *finding;
    }
    verdict->is_admitted = verdict->is_admitted && !finding->is_refusing;
}

/* Does what does not fit refuse? */
static bool is_counting(const struct ma_admit_input *input) {
    return input->mode != MA_ADMIT_ALWAYS || input->was_victim;
}

static uint64_t guarantee_of(const struct ma_settings *settings, const struct ma_demand *demand) {
    uint64_t all = ma_demand_ordinary_bytes(demand);
    return demand->has_guarantee ? ma_min_u64(demand->guarantee_bytes, all)
                                 : ma_permyriad_of(all, settings->guarantee_permyriad);
}

/* Parts scaled to what is needed of them; the overhead is bound to nothing. */
static void
scale_parts(const struct ma_demand *demand, uint64_t now_bytes, struct ma_reservation *ret) {
    uint64_t all = ma_demand_ordinary_bytes(demand);
    ret->n_parts = demand->n_parts;
    for (uint32_t i = 0; i < demand->n_parts; i++) {
        ret->parts[i] = demand->parts[i];
        if (demand->parts[i].page_bytes == 0) {
            ret->parts[i].bytes = ma_muldiv_sat(demand->parts[i].bytes, now_bytes, all);
        }
    }
}

static void make_reservation(const struct ma_settings *settings,
                             const struct ma_demand *demand,
                             struct ma_reservation *ret) {
    uint64_t all = ma_demand_ordinary_bytes(demand);
    uint64_t pinned = ma_min_u64(demand->pinned_bytes, all);
    uint64_t promised = ma_max_u64(guarantee_of(settings, demand), pinned);
    uint64_t now = promised;
    if (demand->operation != MA_DEMAND_START) {
        now = ma_max_u64(now,
                         demand->current_bytes > 0 ? ma_min_u64(demand->current_bytes, all) : all);
    }
    *ret = (struct ma_reservation){.pinned_bytes = pinned};
    memcpy(ret->uuid, demand->uuid, sizeof(ret->uuid));
    memcpy(ret->name, demand->name, sizeof(ret->name));
    uint64_t overhead = MA_ADMIT_OVERHEAD_BYTES + all / MA_ADMIT_PAGE_TABLE_SHARE;
    ret->need_bytes = ma_add_sat(now, overhead);
    ret->committed_bytes = ma_add_sat(demand->is_movable ? promised : all, overhead);
    if (all > 0) {
        scale_parts(demand, now, ret);
    } else {
        ret->n_parts = demand->n_parts;
        memcpy(ret->parts, demand->parts, sizeof(ret->parts));
    }
    ret->least_left_bytes = ma_reservation_whole_bytes(ret);
}

uint64_t ma_commitment_bytes(const struct ma_settings *settings, const struct ma_guest *guest) {
    const uint32_t lasting = ~(uint32_t) MA_INHIBITOR_STARTING;
    const struct ma_balloon *balloon = &guest->balloon;
    uint64_t all = ma_sub_floor0(ma_add_sat(guest->max_bytes, guest->virtio_mem.plugged_bytes),
                                 guest->hugepage_bytes);
    uint64_t guarantee = (guest->config.has & MA_CONFIG_HAS_GUARANTEE) != 0
                             ? ma_min_u64(guest->config.guarantee_bytes, all)
                             : ma_permyriad_of(all, settings->guarantee_permyriad);
    bool is_movable = (balloon->has & MA_BALLOON_HAS_STATE) != 0 &&
                      balloon->state != MA_BALLOON_ABSENT && (balloon->inhibited_by & lasting) == 0;
    uint64_t promised = is_movable ? guarantee : all;
    return ma_max_u64(ma_max_u64(promised, guest->pinned_bytes),
                      (guest->has & MA_GUEST_HAS_MAX) == 0 ? guest->resident_bytes : 0);
}

static const struct ma_reservation *reservation_of(const struct ma_reservations *reservations,
                                                   const char *uuid) {
    for (size_t i = 0; i < reservations->n; i++) {
        if (strcmp(reservations->items[i].uuid, uuid) == 0) {
            return &reservations->items[i];
        }
    }
    return NULL;
}

void ma_commitments_of(const struct ma_snapshot *snapshot,
                       const struct ma_reservations *reservations,
                       const char *except,
                       struct ma_commitments *ret) {
    const struct ma_host *host = &snapshot->host;
    uint64_t resident = 0;
    *ret = (struct ma_commitments){0};
    for (size_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_guest *guest = &snapshot->guests[i];
        resident = ma_add_sat(resident, guest->resident_bytes);
        if (except != NULL && strcmp(guest->uuid, except) == 0) {
            continue;
        }
        const struct ma_reservation *held = reservation_of(reservations, guest->uuid);
        uint64_t bytes = ma_commitment_bytes(&snapshot->settings, guest);
        ret->guests_bytes = ma_add_sat(
            ret->guests_bytes, held != NULL ? ma_max_u64(bytes, held->committed_bytes) : bytes);
        ret->pinned_bytes = ma_add_sat(
            ret->pinned_bytes, held != NULL ? ma_max_u64(guest->pinned_bytes, held->pinned_bytes)
                                            : guest->pinned_bytes);
    }
    for (size_t i = 0; i < reservations->n; i++) {
        const struct ma_reservation *held = &reservations->items[i];
        bool is_counted = ma_snapshot_find(snapshot, held->uuid) != SIZE_MAX;
        if (!is_counted && (except == NULL || strcmp(held->uuid, except) != 0)) {
            ret->reserved_bytes = ma_add_sat(ret->reserved_bytes, held->committed_bytes);
            ret->pinned_bytes = ma_add_sat(ret->pinned_bytes, held->pinned_bytes);
        }
    }
    uint64_t used = ma_sub_floor0(host->total_bytes, host->available_bytes);
    uint64_t own = ma_sub_floor0(used, resident);
    ret->capacity_bytes =
        ma_sub_floor0(host->total_bytes, ma_add_sat(own, snapshot->settings.reserve_bytes));
}

static void check_room(const struct ma_admit_input *input,
                       const struct ma_admit_room *room,
                       struct ma_admit_verdict *verdict) {
    struct ma_admit_finding finding = {.reason = MA_ADMIT_NO_ROOM,
                                       .is_refusing = is_counting(input),
                                       .needed_bytes = verdict->reservation.need_bytes,
                                       .there_bytes = room->ram_bytes};
    if (finding.needed_bytes > finding.there_bytes) {
        add(verdict, &finding);
    }
}

static void check_commitments(const struct ma_admit_input *input,
                              const struct ma_demand *demand,
                              struct ma_admit_verdict *verdict) {
    struct ma_commitments sum;
    ma_commitments_of(input->snapshot, input->reservations, demand->uuid, &sum);
    uint64_t promised = ma_add_sat(sum.guests_bytes, sum.reserved_bytes);
    struct ma_admit_finding finding = {.reason = MA_ADMIT_NO_COMMITMENT,
                                       .is_refusing = input->mode == MA_ADMIT_STRICT,
                                       .needed_bytes = verdict->reservation.committed_bytes,
                                       .there_bytes = ma_sub_floor0(sum.capacity_bytes, promised)};
    if (input->mode == MA_ADMIT_STRICT && finding.needed_bytes > finding.there_bytes) {
        add(verdict, &finding);
    }
    const struct ma_host *host = &input->snapshot->host;
    finding = (struct ma_admit_finding){
        .reason = MA_ADMIT_PIN_BUDGET,
        .is_refusing = is_counting(input),
        .needed_bytes = verdict->reservation.pinned_bytes,
        .there_bytes = ma_sub_floor0(host->pin_budget_bytes, sum.pinned_bytes)};
    if ((host->has & MA_HOST_HAS_PIN_BUDGET) != 0 && finding.needed_bytes > finding.there_bytes) {
        add(verdict, &finding);
    }
}

/* Has an earlier part the same nodes (and pages)? Then the two are judged together already. */
static bool is_repeated(const struct ma_reservation *r, uint32_t at) {
    for (uint32_t i = 0; i < at; i++) {
        if (r->parts[i].page_bytes == r->parts[at].page_bytes &&
            r->parts[i].node_mask == r->parts[at].node_mask) {
            return true;
        }
    }
    return false;
}

/* All parts of that page size that can lie nowhere but within the mask; 0: all of that size. */
static uint64_t needed_within(const struct ma_reservation *r, const struct ma_demand_part *of) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r->n_parts; i++) {
        uint64_t mask = r->parts[i].node_mask;
        bool is_within = of->node_mask == 0 || (mask != 0 && (mask & ~of->node_mask) == 0);
        if (r->parts[i].page_bytes == of->page_bytes && is_within) {
            sum = ma_add_sat(
                sum, ma_round_up(r->parts[i].bytes, of->page_bytes > 0 ? of->page_bytes : 1));
        }
    }
    return sum;
}

static void check_part(const struct ma_admit_input *input,
                       const struct ma_demand *demand,
                       const struct ma_admit_room *room,
                       const struct ma_demand_part *part,
                       struct ma_admit_verdict *verdict) {
    bool is_huge = part->page_bytes != 0;
    struct ma_admit_finding finding = {.reason = is_huge ? MA_ADMIT_NO_HUGEPAGES : MA_ADMIT_NO_NODE,
                                       .is_refusing = is_counting(input),
                                       .node_mask = part->node_mask,
                                       .page_bytes = part->page_bytes,
                                       .needed_bytes = needed_within(&verdict->reservation, part)};
    if (is_huge) {
        finding.there_bytes =
            ma_admit_pool_room_bytes(input, demand, part->page_bytes, part->node_mask);
    } else {
        finding.there_bytes = ma_admit_node_room_bytes(input, demand, room, part->node_mask);
    }
    if (finding.needed_bytes > finding.there_bytes) {
        add(verdict, &finding);
    }
}

static void check_parts(const struct ma_admit_input *input,
                        const struct ma_demand *demand,
                        const struct ma_admit_room *room,
                        struct ma_admit_verdict *verdict) {
    const struct ma_reservation *r = &verdict->reservation;
    for (uint32_t i = 0; i < r->n_parts; i++) {
        const struct ma_demand_part *part = &r->parts[i];
        /* without rows for its nodes nothing is known of them (I1) */
        bool is_judged = part->page_bytes != 0 ? input->pools != NULL
                                               : part->node_mask != 0 && room->known_nodes != 0;
        if (is_judged && !is_repeated(r, i)) {
            check_part(input, demand, room, part, verdict);
        }
    }
}

static void check_pins(const struct ma_admit_input *input,
                       const struct ma_demand *demand,
                       struct ma_admit_verdict *verdict) {
    struct ma_admit_finding finding = {.reason = MA_ADMIT_PIN_LIMIT,
                                       .is_refusing = is_counting(input),
                                       .needed_bytes = demand->pin_account_bytes,
                                       .there_bytes = demand->pin_limit_bytes};
    if (demand->has_pin_limit && finding.needed_bytes > finding.there_bytes) {
        add(verdict, &finding);
    }
    finding = (struct ma_admit_finding){.reason = MA_ADMIT_MEMLOCK_TOO_HIGH,
                                        .needed_bytes = demand->memlock_bytes,
                                        .there_bytes = input->snapshot->host.total_bytes};
    if (finding.needed_bytes > finding.there_bytes) {
        add(verdict, &finding);
    }
}

static void check_kernel(const struct ma_admit_input *input,
                         const struct ma_demand *demand,
                         struct ma_admit_verdict *verdict) {
    const uint32_t both = MA_HOST_HAS_COMMITTED | MA_HOST_HAS_COMMIT_LIMIT;
    const struct ma_host *host = &input->snapshot->host;
    struct ma_admit_finding finding = {
        .reason = MA_ADMIT_KERNEL_COMMIT,
        .is_refusing = is_counting(input),
        .needed_bytes = ma_demand_ordinary_bytes(demand),
        .there_bytes = ma_sub_floor0(host->commit_limit_bytes, host->committed_bytes)};
    if (input->is_commit_enforced && (host->has & both) == both &&
        finding.needed_bytes > finding.there_bytes) {
        add(verdict, &finding);
    }
}

static void check_readmission(const struct ma_admit_input *input,
                              struct ma_admit_verdict *verdict) {
    struct ma_admit_finding finding = {
        .reason = MA_ADMIT_READMIT,
        .is_refusing = true,
        .wait_usec = ma_sub_floor0(input->readmit_after_usec, input->victim_age_usec)};
    if (!input->was_victim || input->readmit_after_usec == 0) {
        return;
    }
    if (finding.wait_usec > 0) {
        add(verdict, &finding);
    }
    if (input->state->in_incident) {
        finding = (struct ma_admit_finding){.reason = MA_ADMIT_INCIDENT, .is_refusing = true};
        add(verdict, &finding);
    }
}

void ma_admit(const struct ma_admit_input *input,
              const struct ma_demand *demand,
              struct ma_admit_verdict *ret) {
    const struct ma_snapshot *snapshot = input->snapshot;
    struct ma_admit_room room;
    *ret = (struct ma_admit_verdict){.is_admitted = true, .mode = input->mode};
    make_reservation(&snapshot->settings, demand, &ret->reservation);
    check_readmission(input, ret);
    check_pins(input, demand, ret);
    if ((snapshot->host.has & MA_HOST_HAS_AGE) != 0 &&
        snapshot->host.sampled_age_usec > snapshot->settings.stale_usec) {
        add(ret, &(struct ma_admit_finding){.reason = MA_ADMIT_STALE_HOST});
        return;
    }
    ma_admit_room_of(input, demand, &room);
    check_room(input, &room, ret);
    check_commitments(input, demand, ret);
    check_parts(input, demand, &room, ret);
    check_kernel(input, demand, ret);
}
