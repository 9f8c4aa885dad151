/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-bids.c - what a guest's word that it is short is worth.
 *
 * What a guest needs that uses all it has cannot be seen: it might be a little more or all there is. Its bid is one step of
 * relief. As far as the guest's part goes, the bid counts as its working set: the others' headroom pays for it, their
 * working sets never. Beyond its part a bid counts for nothing.
 *
 *     part = by shares, or as far as the host believes it: by need
 *     by shares: the division as if nobody used anything (working 0, floor guarantee, ceiling all it may have)
 *     by need:   the division by what everybody uses, as if all that was taken could go back
 *
 * What everybody uses is everybody's own word. The host believes a guest that has filled what it was given last, or half of
 * that; one that was given nothing lately, and has its shares or lacks less of them than is worth a move, is given a little to
 * see. So a guest of which nobody else needs
 * the memory can have all of it, but only as it comes to fill what it was given, step by step; one that only says that it is
 * short ends at its part by shares. What it does not touch, the host still has: it is not divided a second time.
 *
 *   I1  a bid raises a guest to its part at most
 *   I2  two guests of equal size and shares that bid for ever have equal parts by shares
 *   I3  no bid lowers another guest's floor: what others give is what they have above theirs
 *   I4  a guest that bids for ever keeps nobody from getting back what was taken: its working set, and what the division
 *       leaves it of its part; and once the bid is answered, all of it */
#include <errno.h>
#include <string.h>

#include "balanced.h"
#include "bid.h"
#include "bytes.h"
#include "loan.h"

static bool is_any_short(const struct ma_study *study, const struct balanced_items *all) {
    for (size_t k = 0; k < all->n_items; k++) {
        if (balanced_relief_bytes(&study->facts[all->guests[k]]) > 0) {
            return true;
        }
    }
    return false;
}

/* What it may have again, or has. */
static uint64_t most_bytes(const struct ma_facts *facts) {
    const struct ma_guest_memory *memory = facts->memory;
    uint64_t base = balanced_base_bytes(facts);
    bool has_limit = (facts->guest->config.has & MA_CONFIG_HAS_LIMIT) != 0;
    uint64_t most = has_limit ? facts->ceiling_bytes : base;

    if (memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0) {
        most = ma_max_u64(most, memory->balloon_before_bytes);
    }
    return ma_max_u64(base, ma_min_u64(most, facts->guest->max_bytes));
}

static struct ma_division_item item_of(const struct ma_facts *facts, bool is_by_need) {
    uint64_t ceiling = ma_max_u64(facts->ceiling_bytes, 1);

    if (!is_by_need) {
        return (struct ma_division_item){
            .floor_bytes = ma_min_u64(facts->guarantee_bytes, ceiling),
            .ceiling_bytes = ceiling,
            .shares = balanced_shares(facts),
        };
    }
    return (struct ma_division_item){
        .working_bytes = ma_min_u64(facts->working_bytes, facts->guest->max_bytes),
        .floor_bytes = ma_min_u64(facts->balloon_floor_bytes, balanced_base_bytes(facts)),
        .ceiling_bytes = most_bytes(facts),
        .shares = balanced_shares(facts),
    };
}

bool balanced_is_doubted(const struct ma_facts *facts) {
    bool is_lent = facts->is_pressed && balanced_grew_last(facts) &&
                   facts->memory->is_grown_on_word &&
                   !ma_loan_is_filled(facts->guest, facts->memory, balanced_base_bytes(facts));

    return is_lent ||
           (facts->has_claims && ma_bid_disagreement(facts->guest) == MA_DISAGREEMENT_SAYS_SHORT);
}

/* What the host has besides, though a balloon was let go for it. QEMU's own memory hides some of it in what is resident, but
 * not in what was filled since it was given. */
static uint64_t untouched_bytes(const struct ma_facts *facts) {
    uint64_t base = balanced_base_bytes(facts);
    uint64_t lent = ma_loan_untouched_bytes(facts->guest, facts->memory, base);

    if (balanced_relief_bytes(facts) == 0 && !balanced_is_doubted(facts)) {
        return facts->loan_floor_bytes > 0 ? lent : 0;
    }
    return ma_max_u64(lent, ma_sub_floor0(ma_add_sat(base, facts->guest->virtio_mem.plugged_bytes),
                                          ma_bid_held_bytes(facts->guest)));
}

/* To what its part by need counts. */
static uint64_t believed_bytes(const struct ma_study *study,
                               const struct ma_facts *facts,
                               uint64_t by_shares_bytes) {
    uint64_t base = balanced_base_bytes(facts);
    uint64_t band = balanced_dead_band_bytes(study, facts);

    if (balanced_grew_last(facts)) {
        return ma_loan_is_filled(facts->guest, facts->memory, base) ? UINT64_MAX : 0;
    }
    if (ma_sub_floor0(by_shares_bytes, base) >= band ||
        !ma_loan_may_look(facts->memory, study->input->snapshot->taken_at_usec)) {
        return 0;
    }
    /* A MiB more: a move's target is rounded. */
    return ma_round_up(ma_add_sat(base, band), MA_MIB) + MA_MIB;
}

/* Who bids, or has a loan, and does not touch what it has. */
static uint64_t counted_twice_bytes(const struct ma_study *study,
                                    const struct balanced_items *all) {
    uint64_t sum = 0;

    for (size_t k = 0; k < all->n_items; k++) {
        sum += untouched_bytes(&study->facts[all->guests[k]]);
    }
    return sum;
}

static void take_parts(const struct ma_study *study, struct balanced_items *all, bool is_by_need) {
    for (size_t k = 0; k < all->n_items; k++) {
        const struct ma_facts *facts = &study->facts[all->guests[k]];
        uint64_t *part = &all->part_bytes[k];
        uint64_t most = is_by_need ? believed_bytes(study, facts, *part) : UINT64_MAX;

        *part = ma_max_u64(*part, ma_min_u64(all->items[k].target_bytes, most));
    }
}

/* Is there one below its part, by as much as is worth a move? */
static bool has_bid(const struct ma_study *study, const struct balanced_items *all) {
    for (size_t k = 0; k < all->n_items; k++) {
        const struct ma_facts *facts = &study->facts[all->guests[k]];

        if (balanced_bid_bytes(facts, all->part_bytes[k]) >=
            balanced_dead_band_bytes(study, facts)) {
            return true;
        }
    }
    return false;
}

static int take_round(struct ma_study *study,
                      struct balanced_items *all,
                      uint64_t budget_bytes,
                      bool is_by_need) {
    size_t mark = study->arena.used;
    size_t bytes = ma_division_workspace_size(all->n_items, 0);
    void *workspace = ma_arena_take(&study->arena, bytes, 1);
    uint64_t short_bytes = 0;
    int r;

    if (workspace == NULL) {
        return -ENOSPC;
    }
    for (size_t k = 0; k < all->n_items; k++) {
        all->items[k] = item_of(&study->facts[all->guests[k]], is_by_need);
    }
    r = ma_division_solve(all->items, all->n_items,
                          ma_sub_floor0(budget_bytes, counted_twice_bytes(study, all)), workspace,
                          bytes, &short_bytes);
    if (r == 0) {
        take_parts(study, all, is_by_need);
    }
    study->arena.used = mark;
    return r;
}

int balanced_set_shares(struct ma_study *study, struct balanced_items *all, uint64_t budget_bytes) {
    memset(all->part_bytes, 0, all->n_items * sizeof(*all->part_bytes));
    return take_round(study, all, budget_bytes, false);
}

int balanced_set_parts(struct ma_study *study, struct balanced_items *all, uint64_t budget_bytes) {
    int r;

    memset(all->part_bytes, 0, all->n_items * sizeof(*all->part_bytes));
    all->has_bid = false;
    if (!is_any_short(study, all)) {
        return 0;
    }
    r = balanced_set_shares(study, all, budget_bytes);
    if (r == 0) {
        r = take_round(study, all, budget_bytes, true);
    }
    all->has_bid = r == 0 && has_bid(study, all);
    return r;
}

uint64_t balanced_bid_bytes(const struct ma_facts *facts, uint64_t part_bytes) {
    uint64_t base = balanced_base_bytes(facts);
    uint64_t wanted = ma_add_sat(base, balanced_relief_bytes(facts));

    return ma_sub_floor0(ma_min_u64(wanted, part_bytes), base);
}

uint64_t balanced_owed_bytes(const struct ma_study *study,
                             const struct ma_facts *facts,
                             uint64_t part_bytes) {
    const struct ma_guest_memory *memory = facts->memory;
    bool is_owed = memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0 &&
                   !facts->is_pressed && facts->guest->state == MA_GUEST_RUNNING;

    return is_owed && study->plan->pressure == MA_PRESSURE_NORMAL
               ? ma_min_u64(ma_min_u64(memory->balloon_before_bytes, facts->guest->max_bytes),
                            ma_max_u64(part_bytes, facts->working_bytes))
               : 0;
}

uint64_t
balanced_owed_part_bytes(const struct ma_study *study, const struct balanced_items *all, size_t k) {
    bool is_bounded = all->has_bid || balanced_is_doubted(&study->facts[all->guests[k]]);

    return is_bounded ? all->part_bytes[k] : UINT64_MAX;
}

uint64_t *balanced_doubted_parts(struct ma_study *study) {
    size_t n = study->input->snapshot->n_guests;
    struct balanced_items all;
    uint64_t *parts = NULL;
    uint64_t sum = 0;

    for (size_t i = 0; i < n && parts == NULL; i++) {
        parts = balanced_is_doubted(&study->facts[i])
                    ? ma_arena_take(&study->arena, n, sizeof(*parts))
                    : NULL;
    }
    if (parts == NULL || balanced_collect_items(study, &all, &sum) < 0 ||
        balanced_set_shares(study, &all, balanced_budget_bytes(study, sum)) < 0) {
        return NULL;
    }
    memset(parts, 0xff, n * sizeof(*parts));
    for (size_t k = 0; k < all.n_items; k++) {
        if (balanced_is_doubted(&study->facts[all.guests[k]])) {
            parts[all.guests[k]] = all.part_bytes[k];
        }
    }
    return parts;
}

void balanced_return_owed(struct ma_study *study,
                          const struct balanced_items *all,
                          uint64_t room_bytes) {
    const struct ma_settings *settings = &study->input->snapshot->settings;
    uint64_t room = balanced_spare_bytes(study, room_bytes) / 2;

    for (size_t k = 0; k < all->n_items; k++) {
        const struct ma_facts *facts = &study->facts[all->guests[k]];
        uint64_t actual = facts->guest->actual_bytes;
        uint64_t base = ma_max_u64(actual, balanced_base_bytes(facts));
        uint64_t step = ma_permyriad_of(facts->guest->max_bytes, settings->balloon_slew_permyriad);
        uint64_t owed = balanced_owed_bytes(study, facts, balanced_owed_part_bytes(study, all, k));
        uint64_t to =
            all->has_bid ? ma_max_u64(all->items[k].target_bytes, facts->working_bytes) : owed;

        to = ma_min_u64(ma_min_u64(to, owed), ma_add_sat(actual, step));
        to = ma_round_down(ma_min_u64(to, ma_add_sat(actual, room)), MA_MIB);
        if (ma_sub_floor0(to, base) >= balanced_dead_band_bytes(study, facts) &&
            balanced_may_move(study, facts, 1, false)) {
            room -= to - actual;
            balanced_add_balloon(study, all->guests[k], to, MA_REASON_GIVE_BACK);
        }
    }
}
