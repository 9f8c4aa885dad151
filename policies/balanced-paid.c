/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-paid.c - relief on a host that has nothing to give.
 *
 * Above the soft watermark a guest that is short gets of what is there (balanced-divide.c). Below the hard one there is
 * nothing, and what idle guests return goes to the host first: a guest at its floor would thrash until all is calm. So there
 * its relief is a swap within one plan: idle guests are asked for twice what it gets, and what it gets is advanced
 * of what the host can miss until they have paid, or of what comes in meanwhile.
 *
 *     spare   = what the plan's gentle actions return - what ram is short of
 *     taken   = what is missing of twice the bids, from those with most to spare, down to their working sets
 *     advance = the larger of a third of what the host has above its reserve; and half of what it has above its critical
 *               watermark, as far as that comes in within a second, on average; less what was given and is not taken yet
 *     given   = min(bids, (spare + taken) / 2, advance)
 *
 *   I1  whatever the plan does besides stays: no shrink gets smaller, none stops; it has no victim, and leaves nothing short
 *   I2  who pays keeps its working set and its floor (P2), and does not veto, nor is short itself
 *   I3  a guest has its part at most of what guests have together after the plan and the swap (balanced-bids.c, I1)
 *   I4  half of what is taken for it never comes back, or comes late, and the host is no shorter than without it
 *   I5  a forecast that takes the gift for somebody's growth asks nobody's life: it is covered by what is above the reserve,
 *       or by what comes in
 *
 * Rejected: the bid as a demand of the planner's, which would have another guest's working set pay where that is the cheapest;
 * giving all at once against what is promised: the dip, and its forecast, made victims of others in the simulated lives of
 * tests/property/relief.c; giving only what has arrived for it: whose it was would have to be remembered. */
#include "balanced.h"

#include "bytes.h"

/* Of what idle guests are asked for, one part in so many goes to those that are short. Too small: a balloon that stops on
 * its way leaves the host shorter than before; too large: much is taken for little relief. */
#define PAID_DIVISOR 2
/* Of what is above the critical watermark, where lives begin to count, one part in so many may be given while as much comes
 * in. Too small: a balloon that stops leaves a host that needs a victim; too large: no relief on a small host. Guessed. */
#define RISING_DIVISOR 2
/* Of what is above the reserve, one part in so many, whatever comes in. A gift that is taken within a second looks, in the
 * average of the slope (0.3 a second) and over the horizon (5 s), like half as much again: 2.5 parts. */
#define RESERVE_DIVISOR 3
/* What was given so lately shows in no average yet, or is not touched yet. A bid's own period. */
#define GIVEN_LATELY_USEC (UINT64_C(2) * MA_USEC_PER_SEC)
#define NO_ACTION         UINT32_MAX

struct swap {
    struct ma_study *study;
    struct balanced_items all;
    uint32_t *action_of;     /* the plan's action of each guest, the first one; NO_ACTION: none */
    uint64_t *bid_bytes;     /* of each item */
    uint64_t *payable_bytes; /* likewise */
    uint64_t bids_bytes;     /* together */
    uint64_t wanted_bytes;   /* of idle guests, beyond what the plan takes */
    uint64_t spare_bytes;    /* returned by the plan, and not what the host is short of */
};

static struct ma_plan_action *action_of(const struct swap *swap, uint32_t guest) {
    uint32_t index = swap->action_of[guest];

    return index == NO_ACTION ? NULL : &swap->study->plan->actions[index];
}

static bool is_shrink(const struct ma_plan_action *action) {
    return action->action == MA_ACTION_BALLOON && action->to_bytes < action->from_bytes;
}

/* By the plan's own word; then nobody is given anything. A deadline leaves no time for a swap. */
static bool is_left_short(const struct ma_study *study) {
    const struct ma_plan *plan = study->plan;

    for (size_t d = 0; d < plan->n_rows; d++) {
        if ((int) d != study->need.swap &&
            (plan->uncovered.mib[d] > 0 || plan->rows[d].within_ms > 0)) {
            return true;
        }
    }
    return false;
}

/* Nobody ends, and nobody is given anything yet. */
static bool is_gentle(const struct ma_plan *plan) {
    for (size_t k = 0; k < plan->n_actions; k++) {
        const struct ma_plan_action *action = &plan->actions[k];
        bool is_growth = action->has_from_to && action->to_bytes > action->from_bytes &&
                         action->action != MA_ACTION_RECLAIM;

        if (is_growth || ma_action_is_victim(action->action) ||
            action->action == MA_ACTION_EXHAUSTED || action->action == MA_ACTION_RESUME) {
            return false;
        }
    }
    return true;
}

static bool is_asked(const struct ma_study *study) {
    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        if (balanced_relief_bytes(&study->facts[i]) > 0) {
            return true;
        }
    }
    return false;
}

/* Above the hard watermark, though not calm yet, the division has time to take once what it gives once. */
static bool is_due(const struct ma_study *study) {
    const struct ma_resource *ram =
        study->need.ram < 0 ? NULL : &study->need.resources[study->need.ram];

    return study->plan->pressure >= MA_PRESSURE_HARD && ram != NULL &&
           ram->available_bytes < ram->hard_bytes && is_asked(study) && is_gentle(study->plan) &&
           !is_left_short(study);
}

/* Where its balloon is after the plan. */
static uint64_t planned_bytes(const struct swap *swap, uint32_t guest) {
    const struct ma_plan_action *action = action_of(swap, guest);

    return action != NULL && is_shrink(action) ? action->to_bytes
                                               : balanced_base_bytes(&swap->study->facts[guest]);
}

static bool take_arrays(struct swap *swap) {
    struct ma_arena *arena = &swap->study->arena;
    const struct ma_plan *plan = swap->study->plan;
    size_t n = swap->study->input->snapshot->n_guests;

    swap->action_of = ma_arena_take(arena, n, sizeof(*swap->action_of));
    swap->bid_bytes = ma_arena_take(arena, n, sizeof(*swap->bid_bytes));
    swap->payable_bytes = ma_arena_take(arena, n, sizeof(*swap->payable_bytes));
    if (swap->action_of == NULL || swap->bid_bytes == NULL || swap->payable_bytes == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        swap->action_of[i] = NO_ACTION;
    }
    for (size_t k = plan->n_actions; k > 0; k--) {
        if (plan->actions[k - 1].has_guest) {
            swap->action_of[plan->actions[k - 1].guest] = (uint32_t) (k - 1);
        }
    }
    return true;
}

static uint64_t bid_of(const struct swap *swap, size_t k) {
    uint32_t guest = swap->all.guests[k];
    const struct ma_facts *facts = &swap->study->facts[guest];
    uint64_t bid = balanced_bid_bytes(facts, swap->all.part_bytes[k]);
    bool may_grow =
        swap->action_of[guest] == NO_ACTION && balanced_may_move(swap->study, facts, 1, false);

    return may_grow && bid >= balanced_dead_band_bytes(swap->study, facts) ? bid : 0;
}

static uint64_t spare_bytes(const struct ma_study *study) {
    const struct ma_plan *plan = study->plan;
    int64_t sum = -study->need.demand_mib[study->need.ram];

    for (size_t k = 0; k < plan->n_actions; k++) {
        sum += plan->actions[k].has_frees ? plan->actions[k].frees.mib[study->need.ram] : 0;
    }
    return sum > 0 ? (uint64_t) sum * MA_MIB : 0;
}

static int collect(struct swap *swap) {
    uint64_t sum = 0;
    int r = balanced_collect_items(swap->study, &swap->all, &sum);

    if (r < 0) {
        return r;
    }
    sum = 0;
    for (size_t k = 0; k < swap->all.n_items; k++) {
        sum += planned_bytes(swap, swap->all.guests[k]);
    }
    /* What the plan's own shrinks bring beyond the host's need may be theirs again. */
    swap->spare_bytes = spare_bytes(swap->study);
    r = balanced_set_parts(swap->study, &swap->all,
                           ma_add_sat(sum, swap->spare_bytes / PAID_DIVISOR));
    for (size_t k = 0; r == 0 && k < swap->all.n_items; k++) {
        swap->bid_bytes[k] = bid_of(swap, k);
        swap->bids_bytes = ma_add_sat(swap->bids_bytes, swap->bid_bytes[k]);
    }
    return r;
}

/* A guest that is asked for nothing else yet: as for moves of the planner, no period holds, but what just grew rests. */
static bool may_begin(const struct ma_study *study, const struct ma_facts *facts) {
    return !balanced_grew_last(facts) || balanced_may_move(study, facts, -1, true);
}

static bool may_pay(const struct swap *swap, uint32_t guest) {
    const struct ma_facts *facts = &swap->study->facts[guest];
    const struct ma_plan_action *action = action_of(swap, guest);

    return !facts->is_pressed && !facts->is_vetoing &&
           (action != NULL ? is_shrink(action) : may_begin(swap->study, facts));
}

/* How far the guest goes down for others, and what ram gets back by that, beyond the plan. 0: nothing. */
static uint64_t
payable_of(const struct swap *swap, uint32_t guest, uint64_t wanted_bytes, uint64_t *ret_to) {
    const struct ma_study *study = swap->study;
    const struct ma_facts *facts = &study->facts[guest];
    uint64_t planned = planned_bytes(swap, guest);
    uint64_t step = balanced_relief_step_bytes(facts);
    uint64_t lowest = ma_max_u64(ma_max_u64(facts->working_bytes, facts->balloon_floor_bytes),
                                 ma_sub_floor0(balanced_base_bytes(facts), step));
    /* What it never touched comes first and returns nothing. */
    uint64_t there = ma_min_u64(planned, facts->returnable_bytes);
    struct ma_amounts before = {0};
    struct ma_amounts after;

    uint64_t least = action_of(swap, guest) != NULL ? 1 : balanced_dead_band_bytes(study, facts);

    *ret_to = ma_round_up(ma_max_u64(lowest, ma_sub_floor0(there, ma_max_u64(wanted_bytes, least))),
                          MA_MIB);
    if (*ret_to >= facts->guest->actual_bytes || ma_sub_floor0(planned, *ret_to) < least ||
        !may_pay(swap, guest)) {
        return 0;
    }
    if (action_of(swap, guest) != NULL) {
        before = action_of(swap, guest)->frees;
    }
    ma_frees_of_balloon(study->plan, &study->need, facts, *ret_to, &after);
    return (uint64_t) ma_max_i64(after.mib[study->need.ram] - before.mib[study->need.ram], 0) *
           MA_MIB;
}

static void pay(const struct swap *swap, uint32_t guest, uint64_t to) {
    struct ma_study *study = swap->study;
    const struct ma_facts *facts = &study->facts[guest];
    struct ma_plan_action *action = action_of(swap, guest);

    if (action == NULL) {
        balanced_add_balloon(study, guest, to, MA_REASON_DIVISION);
        return;
    }
    action->to_bytes = to;
    ma_frees_of_balloon(study->plan, &study->need, facts, to, &action->frees);
    action->deadline_usec =
        ma_options_deadline_usec(facts, MA_ACTION_BALLOON, ma_sub_floor0(action->from_bytes, to));
}

/* What idle guests could pay, as far as it is wanted. */
static uint64_t look_for_payers(struct swap *swap) {
    uint64_t sum = 0;
    uint64_t to;

    for (size_t k = 0; k < swap->all.n_items; k++) {
        swap->payable_bytes[k] = payable_of(swap, swap->all.guests[k], swap->wanted_bytes, &to);
        sum = ma_add_sat(sum, swap->payable_bytes[k]);
    }
    return ma_min_u64(sum, swap->wanted_bytes);
}

/* Those with most to spare first: few large moves. Each pays once. */
static uint64_t take_of_idle(struct swap *swap) {
    uint64_t taken = 0;

    while (taken < swap->wanted_bytes) {
        size_t best = 0;
        uint64_t to;
        uint64_t bytes;

        for (size_t k = 1; k < swap->all.n_items; k++) {
            best = swap->payable_bytes[k] > swap->payable_bytes[best] ? k : best;
        }
        if (swap->payable_bytes[best] == 0) {
            break;
        }
        bytes = payable_of(swap, swap->all.guests[best], swap->wanted_bytes - taken, &to);
        if (bytes > 0) {
            pay(swap, swap->all.guests[best], to);
            taken += bytes;
        }
        swap->payable_bytes[best] = 0;
    }
    return taken;
}

/* What may be given before anything of it is paid. */
static uint64_t advance_bytes(const struct ma_study *study) {
    const struct ma_resource *ram = &study->need.resources[study->need.ram];
    bool is_rising = ram->has_slope && ram->slope_bytes_per_s > 0;
    uint64_t inflow = is_rising ? (uint64_t) ram->slope_bytes_per_s : 0;
    uint64_t risen = ma_sub_floor0(ram->available_bytes, ram->critical_bytes) / RISING_DIVISOR;
    uint64_t room = ma_sub_floor0(ram->available_bytes, ram->reserve_bytes) / RESERVE_DIVISOR;

    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        uint64_t lately =
            ma_max_u64(balanced_given_lately_bytes(study, &study->facts[i], GIVEN_LATELY_USEC),
                       study->facts[i].owed_bytes);

        inflow = ma_sub_floor0(inflow, lately);
        risen = ma_sub_floor0(risen, lately);
        room = ma_sub_floor0(room, lately);
    }
    return ma_max_u64(room, ma_min_u64(risen, inflow));
}

/* What those that bid get, when so much is taken of idle guests. */
static uint64_t given_bytes(const struct swap *swap, uint64_t taken) {
    return ma_min_u64(ma_min_u64(swap->bids_bytes, advance_bytes(swap->study)),
                      ma_add_sat(swap->spare_bytes, taken) / PAID_DIVISOR);
}

/* In proportion to the bids. Too little for a move: 0. */
static uint64_t target_of(const struct swap *swap, size_t k, uint64_t given) {
    const struct ma_facts *facts = &swap->study->facts[swap->all.guests[k]];
    uint64_t share = ma_muldiv_sat(swap->bid_bytes[k], given, swap->bids_bytes);
    uint64_t to = ma_round_down(ma_add_sat(balanced_base_bytes(facts), share), MA_MIB);

    return ma_sub_floor0(to, facts->guest->actual_bytes) >=
                   balanced_dead_band_bytes(swap->study, facts)
               ? to
               : 0;
}

/* How many are given something, when so much is given; and where `is_done`, it is. */
static size_t give(const struct swap *swap, uint64_t given, bool is_done) {
    size_t n = 0;

    for (size_t k = 0; k < swap->all.n_items; k++) {
        uint64_t to = target_of(swap, k, given);

        n += to > 0;
        if (to > 0 && is_done) {
            balanced_add_balloon(swap->study, swap->all.guests[k], to, MA_REASON_GUEST_PRESSURE);
        }
    }
    return n;
}

static void swap_for_bids(struct swap *swap) {
    uint64_t most;

    most = given_bytes(swap, UINT64_MAX);
    swap->wanted_bytes = ma_sub_floor0(ma_mul_sat(most, PAID_DIVISOR), swap->spare_bytes);
    if (give(swap, given_bytes(swap, look_for_payers(swap)), false) > 0) {
        (void) give(swap, given_bytes(swap, take_of_idle(swap)), true);
    }
}

void balanced_relieve_paid(struct ma_study *study) {
    struct swap swap = {.study = study};
    size_t mark = study->arena.used;

    /* Without the memory to think it over there is no relief; the rest of the plan stands. */
    if (is_due(study) && take_arrays(&swap) && collect(&swap) == 0 && swap.bids_bytes > 0) {
        swap_for_bids(&swap);
    }
    study->arena.used = mark;
}
