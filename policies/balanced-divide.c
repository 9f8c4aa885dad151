/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-divide.c - the division of what there is, and the rules that keep it from swinging. */
#include <errno.h>
#include <string.h>

#include "balanced.h"
#include "bytes.h"
#include "loan.h"

/* A balloon smaller than this share of the guest's maximum is not worth a move. Too small: balloons twitch with every
 * sample; too large: small shortages are never answered. */
#define DEAD_BAND_PERMYRIAD 200U
/* The band in bytes (64 MiB by default) counts up to this share of a guest's maximum. */
#define DEAD_BAND_SMALL_PERMYRIAD 600U

/* A guest that says it is short gets this much of its maximum at a time. Too small: a burst outruns it, and the guest's
 * own kernel kills; too large: what it does not need after all must be taken from it again. A burst of 500 MiB/s and
 * figures 4 s old: 2 GiB, a quarter of a middling guest. Simulated (mix-1.6): 10 % let 100 guests of 37 kill their own
 * programs in 25 minutes. */
#define RELIEF_PERMYRIAD 2500U
/* ... so often: its figures are polled every 2 s. Too small: relief upon relief from one old figure. */
#define RELIEF_PERIOD_USEC (UINT64_C(2) * MA_USEC_PER_SEC)

uint64_t balanced_dead_band_bytes(const struct ma_study *study, const struct ma_facts *facts) {
    /* A small guest's slew step must be able to pass the band, or it would never move at all. */
    uint64_t band = ma_min_u64(study->input->snapshot->settings.balloon_dead_band_bytes,
                               ma_permyriad_of(facts->guest->max_bytes, DEAD_BAND_SMALL_PERMYRIAD));

    return ma_max_u64(band, ma_permyriad_of(facts->guest->max_bytes, DEAD_BAND_PERMYRIAD));
}

bool balanced_may_move(const struct ma_study *study,
                       const struct ma_facts *facts,
                       int direction,
                       bool is_hurried) {
    const struct ma_settings *settings = &study->input->snapshot->settings;
    const struct ma_guest_memory *memory = facts->memory;
    uint64_t now = study->input->snapshot->taken_at_usec;
    bool is_relief = direction > 0 && facts->is_pressed;
    uint64_t period = is_relief ? ma_min_u64(RELIEF_PERIOD_USEC, settings->balloon_period_usec)
                                : settings->balloon_period_usec;
    bool is_turn;

    if (memory == NULL) {
        return true;
    }
    if (memory->last_move_usec != 0 && ma_sub_floor0(now, memory->last_move_usec) < period) {
        return false;
    }
    is_turn = memory->last_turn_usec != 0 && memory->last_direction != direction;
    if (is_turn && direction < 0 && !is_hurried) {
        /* From the last step of its growth: what a guest just came to need is not asked back at once. */
        return ma_sub_floor0(now, memory->last_move_usec) >=
               ma_mul_sat(settings->balloon_dwell_usec, MA_GROWN_DWELLS);
    }
    return !is_turn || is_relief ||
           ma_sub_floor0(now, memory->last_turn_usec) >= settings->balloon_dwell_usec;
}

void balanced_add_balloon(struct ma_study *study,
                          uint32_t guest,
                          uint64_t to_bytes,
                          enum ma_reason reason) {
    const struct ma_facts *facts = &study->facts[guest];
    struct ma_plan_action *action = ma_plan_add_action(study->plan);
    uint64_t actual = facts->guest->actual_bytes;
    uint64_t distance = to_bytes > actual ? to_bytes - actual : actual - to_bytes;

    if (action == NULL) {
        return;
    }
    action->has_guest = true;
    action->guest = guest;
    action->action = MA_ACTION_BALLOON;
    action->has_from_to = true;
    action->from_bytes = actual;
    action->to_bytes = to_bytes;
    action->has_frees = true;
    ma_frees_of_balloon(study->plan, &study->need, facts, to_bytes, &action->frees);
    action->reason = reason;
    action->deadline_usec = ma_options_deadline_usec(facts, MA_ACTION_BALLOON, distance);
}

bool balanced_has_action(const struct ma_study *study, uint32_t guest) {
    const struct ma_plan *plan = study->plan;

    for (size_t k = 0; k < plan->n_actions; k++) {
        if (plan->actions[k].has_guest && plan->actions[k].guest == guest) {
            return true;
        }
    }
    return false;
}

void balanced_probe_stuck(struct ma_study *study) {
    if (study->plan->pressure == MA_PRESSURE_NORMAL) {
        return;
    }
    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        uint64_t to = study->facts[i].probe_to_bytes;

        if (to > 0 && !balanced_has_action(study, i)) {
            balanced_add_balloon(study, i, to, MA_REASON_UNCOOPERATIVE);
        }
    }
}

/* Where its balloon stands or is heading, and no lower than the floor that is asked of it. */
uint64_t balanced_base_bytes(const struct ma_facts *facts) {
    return ma_min_u64(facts->committed_bytes, facts->guest->max_bytes);
}

bool balanced_grew_last(const struct ma_facts *facts) {
    return facts->memory != NULL && facts->memory->last_direction > 0;
}

uint64_t balanced_given_lately_bytes(const struct ma_study *study,
                                     const struct ma_facts *facts,
                                     uint64_t within_usec) {
    const struct ma_guest_memory *memory = facts->memory;
    uint64_t now = study->input->snapshot->taken_at_usec;

    return balanced_grew_last(facts) && memory->last_move_usec != 0 &&
                   ma_sub_floor0(now, memory->last_move_usec) < within_usec
               ? ma_sub_floor0(memory->balloon_ours_bytes, memory->move_from_bytes)
               : 0;
}

uint32_t balanced_shares(const struct ma_facts *facts) {
    const struct ma_guest_config *config = &facts->guest->config;

    return (config->has & MA_CONFIG_HAS_SHARES) != 0 ? config->shares : MA_SHARES_DEFAULT;
}

uint64_t balanced_relief_step_bytes(const struct ma_facts *facts) {
    return ma_permyriad_of(facts->guest->max_bytes, RELIEF_PERMYRIAD);
}

/* What its rise asks for; where it uses all that it has, how much more it needs cannot be seen, and it gets a step. */
uint64_t balanced_relief_bytes(const struct ma_facts *facts) {
    const struct ma_guest_memory *memory = facts->memory;
    uint64_t base = balanced_base_bytes(facts);
    uint64_t wish = ma_sub_floor0(facts->working_bytes, base);
    uint64_t most = 0;

    if (!facts->is_pressed || facts->guest->state != MA_GUEST_RUNNING) {
        return 0;
    }
    if (facts->is_starved) {
        wish = ma_max_u64(wish, balanced_relief_step_bytes(facts));
    }
    if (memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0) {
        most = memory->balloon_before_bytes;
    }
    if ((facts->guest->config.has & MA_CONFIG_HAS_LIMIT) != 0) {
        most = facts->ceiling_bytes;
    }
    return ma_min_u64(ma_sub_floor0(ma_min_u64(most, facts->guest->max_bytes), base), wish);
}

bool balanced_is_relief_wanted(const struct ma_study *study) {
    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study->facts[i];

        if (facts->balloon_reason == MA_REASON_NONE &&
            balanced_relief_bytes(facts) >= balanced_dead_band_bytes(study, facts)) {
            return true;
        }
    }
    return false;
}

/* What its rise would take until a balloon that shrinks now may turn: it would be asked for at once. */
static uint64_t soon_bytes(const struct ma_study *study, const struct ma_facts *facts) {
    const struct ma_guest_memory *memory = facts->memory;

    return memory == NULL
               ? 0
               : ma_min_u64(ma_muldiv_sat(memory->used_rise_bytes_per_s,
                                          study->input->snapshot->settings.balloon_dwell_usec,
                                          MA_USEC_PER_SEC),
                            facts->guest->max_bytes);
}

static void set_item(const struct ma_study *study, const struct balanced_items *all, size_t k) {
    const struct ma_facts *facts = &study->facts[all->guests[k]];
    struct ma_division_item *item = &all->items[k];
    bool is_gentle = study->plan->pressure <= MA_PRESSURE_SOFT;
    uint64_t floor = is_gentle ? ma_max_u64(facts->working_bytes, facts->balloon_floor_bytes) +
                                     soon_bytes(study, facts)
                               : facts->balloon_floor_bytes;
    uint64_t base = balanced_base_bytes(facts);
    uint64_t bid = balanced_bid_bytes(facts, all->part_bytes[k]);
    uint64_t wanted =
        bid > 0 ? base + bid
                : balanced_owed_bytes(study, facts, balanced_owed_part_bytes(study, all, k));

    memset(item, 0, sizeof(*item));
    item->ceiling_bytes = ma_max_u64(base, wanted);
    item->floor_bytes = ma_min_u64(floor, base);
    item->working_bytes = ma_min_u64(facts->usual_bytes, facts->guest->max_bytes);
    if (bid > 0) {
        item->working_bytes = ma_max_u64(item->working_bytes, base + bid);
    }
    item->shares = balanced_shares(facts);
}

/* A balloon that grew last is shrunk for so many dead bands or more. Too small: it goes up and down by what a guest's figures
 * sway; too large: others give what it could, and it keeps what it does not need. Simulated (mix-1.3): 1, 4, 6 and 8 turn
 * 5.6, 4.7, 3.8 and 3.7 balloons a guest-hour; from 6 on guests that are short wait for it. */
#define TURN_FACTOR 5U

static bool is_worth_it(const struct ma_study *study,
                        const struct ma_facts *facts,
                        uint64_t target,
                        bool is_hurried) {
    uint64_t band = balanced_dead_band_bytes(study, facts);

    return ma_sub_floor0(balanced_base_bytes(facts), target) >=
           (balanced_grew_last(facts) && !is_hurried ? ma_mul_sat(band, TURN_FACTOR) : band);
}

/* Where a balloon would go on its way to target by the rules; no move: where it is. For a guest that is short, idle memory
 * is taken in the same steps in which it is given. */
static uint64_t step_towards(const struct ma_study *study,
                             const struct ma_facts *facts,
                             uint64_t target,
                             bool is_for_bid,
                             bool is_hurried) {
    const struct ma_settings *settings = &study->input->snapshot->settings;
    uint64_t base = balanced_base_bytes(facts);
    bool is_idle = target >= facts->working_bytes;
    uint64_t step = is_for_bid && is_idle ? balanced_relief_step_bytes(facts)
                                          : ma_permyriad_of(facts->guest->max_bytes,
                                                            settings->balloon_slew_permyriad);
    /* What it never touched it does not miss: a guest that has just booted is held at once, however big it may become. */
    uint64_t touched =
        ma_max_u64(facts->guest->resident_bytes + facts->guest->swap_bytes, facts->working_bytes);

    if (!is_worth_it(study, facts, target, is_hurried)) {
        return base;
    }
    if (!is_hurried) {
        target = ma_max_u64(target, ma_min_u64(ma_sub_floor0(base, step), touched));
    }
    target = ma_round_up(target, MA_MIB);
    return ma_sub_floor0(base, target) >= balanced_dead_band_bytes(study, facts) &&
                   target < facts->guest->actual_bytes &&
                   balanced_may_move(study, facts, -1, is_hurried)
               ? target
               : base;
}

/* The one that gives most; one that grew last only where that is allowed. n_items: none. */
static size_t
find_largest(const struct ma_study *study, const struct balanced_items *all, bool may_turn) {
    size_t best = all->n_items;
    uint64_t most = 0;

    for (size_t k = 0; k < all->n_items; k++) {
        const struct ma_facts *facts = &study->facts[all->guests[k]];
        uint64_t gain = ma_sub_floor0(balanced_base_bytes(facts), all->items[k].target_bytes);

        if (gain > most && (may_turn || !balanced_grew_last(facts))) {
            most = gain;
            best = k;
        }
    }
    return best;
}

/* Those that give most first, until there is enough: few large moves instead of many that the dead band would swallow.
 * The items' targets are where their balloons would go; what is moved gets its base there. Exact: none gives more than is
 * wanted, or a move is worth. */
static void shrink_largest(struct ma_study *study,
                           const struct balanced_items *all,
                           uint64_t wanted,
                           bool is_exact) {
    bool may_turn = false;

    while (wanted > 0) {
        size_t best = find_largest(study, all, may_turn);
        const struct ma_facts *facts;
        struct ma_division_item *item;
        uint64_t base;

        if (best == all->n_items && may_turn) {
            return;
        }
        if (best == all->n_items) {
            may_turn = true;
            continue;
        }
        item = &all->items[best];
        facts = &study->facts[all->guests[best]];
        base = balanced_base_bytes(facts);
        if (is_exact) {
            uint64_t least = ma_max_u64(wanted, balanced_dead_band_bytes(study, facts));

            item->target_bytes =
                ma_max_u64(item->target_bytes, ma_round_down(ma_sub_floor0(base, least), MA_MIB));
        }
        balanced_add_balloon(study, all->guests[best], item->target_bytes,
                             item->target_bytes >= facts->working_bytes ? MA_REASON_DIVISION
                                                                        : MA_REASON_TO_GUARANTEE);
        wanted = ma_sub_floor0(wanted, base - item->target_bytes);
        item->target_bytes = base;
    }
}

/* Only what is above the soft watermark already: what others are shrunk for comes later, and is given then (P3). */
static void relieve(struct ma_study *study, uint32_t guest, uint64_t target, uint64_t *room) {
    const struct ma_facts *facts = &study->facts[guest];
    uint64_t actual = facts->guest->actual_bytes;

    target = ma_round_down(ma_min_u64(target, ma_add_sat(actual, *room)), MA_MIB);
    if (ma_sub_floor0(target, ma_max_u64(balanced_base_bytes(facts), actual)) >=
            balanced_dead_band_bytes(study, facts) &&
        balanced_may_move(study, facts, 1, false)) {
        *room -= target - actual;
        balanced_add_balloon(study, guest, target, MA_REASON_GUEST_PRESSURE);
    }
}

static uint64_t bid_of(const struct ma_study *study, const struct balanced_items *all, size_t k) {
    return balanced_bid_bytes(&study->facts[all->guests[k]], all->part_bytes[k]);
}

static uint64_t sum_of_bids(const struct ma_study *study, const struct balanced_items *all) {
    uint64_t sum = 0;

    for (size_t k = 0; k < all->n_items; k++) {
        sum += bid_of(study, all, k);
    }
    return sum;
}

static uint64_t room_bytes(const struct ma_study *study) {
    return (uint64_t) study->need.slack_mib[study->need.ram] * MA_MIB;
}

/* Does a bid wait that all of what is there is too little to move for? */
static bool is_room_too_small(const struct ma_study *study, const struct balanced_items *all) {
    bool is = false;

    for (size_t k = 0; k < all->n_items; k++) {
        /* A MiB more: a move's target is rounded. */
        uint64_t least = balanced_dead_band_bytes(study, &study->facts[all->guests[k]]) + MA_MIB;

        if (bid_of(study, all, k) >= least) {
            if (room_bytes(study) >= least) {
                return false;
            }
            is = true;
        }
    }
    return is;
}

/* The largest bid, where nobody's part of what is there is worth a move. */
static void
relieve_largest(struct ma_study *study, const struct balanced_items *all, uint64_t *room) {
    size_t best = 0;

    for (size_t k = 1; k < all->n_items; k++) {
        best = bid_of(study, all, k) > bid_of(study, all, best) ? k : best;
    }
    relieve(study, all->guests[best],
            balanced_base_bytes(&study->facts[all->guests[best]]) + bid_of(study, all, best), room);
}

/* What is there for the guests that are short, in proportion to what each is to get. */
static void relieve_all(struct ma_study *study, const struct balanced_items *all) {
    uint64_t room = room_bytes(study);
    uint64_t there = room;
    uint64_t sum = sum_of_bids(study, all);

    for (size_t k = 0; k < all->n_items && sum > 0; k++) {
        const struct ma_facts *facts = &study->facts[all->guests[k]];
        uint64_t part = ma_muldiv_sat(bid_of(study, all, k), ma_min_u64(there, sum), sum);

        if (part > 0) {
            relieve(study, all->guests[k], balanced_base_bytes(facts) + part, &room);
        }
    }
    if (all->has_bid && room == there) {
        relieve_largest(study, all, &room);
    }
    balanced_return_owed(study, all, room);
}

int balanced_collect_items(struct ma_study *study, struct balanced_items *ret, uint64_t *ret_sum) {
    size_t n = study->input->snapshot->n_guests;

    *ret = (struct balanced_items){
        .items = ma_arena_take(&study->arena, n, sizeof(*ret->items)),
        .guests = ma_arena_take(&study->arena, n, sizeof(*ret->guests)),
        .part_bytes = ma_arena_take(&study->arena, n, sizeof(*ret->part_bytes)),
    };
    *ret_sum = 0;
    if (ret->items == NULL || ret->guests == NULL || ret->part_bytes == NULL) {
        return -ENOSPC;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (study->facts[i].balloon_reason == MA_REASON_NONE) {
            *ret_sum += balanced_base_bytes(&study->facts[i]);
            ret->guests[ret->n_items++] = i;
        }
    }
    return 0;
}

/* Divided is less than there is: the ones whose turn it is go deeper than all together would have to. Too small: what the
 * dead band swallows is never had; too large: what one gives today another might have given. Simulated: 1 to 6 are alike. */
#define DEPTH_FACTOR 2

static int solve(struct ma_study *study,
                 struct balanced_items *all,
                 uint64_t sum_bytes,
                 uint64_t *ret_short_bytes) {
    uint64_t missing = ma_sub_floor0(sum_bytes, balanced_budget_bytes(study, sum_bytes));
    uint64_t budget = missing == 0 ? balanced_budget_bytes(study, sum_bytes)
                                   : ma_sub_floor0(sum_bytes, ma_mul_sat(missing, DEPTH_FACTOR));
    uint64_t node_budgets[MA_ROWS_MAX];
    size_t mark = study->arena.used;
    size_t n_nodes = balanced_limit_nodes(study, all, node_budgets);
    size_t bytes = ma_division_workspace_size(all->n_items, n_nodes);
    void *workspace = ma_arena_take(&study->arena, bytes, 1);
    int r = workspace == NULL
                ? -ENOSPC
                : ma_division_solve_nodes(all->items, all->n_items, budget, node_budgets, n_nodes,
                                          workspace, bytes, ret_short_bytes);

    all->n_nodes = n_nodes;
    study->arena.used = mark;
    return r;
}

/* Where it is critical, what is under way is the quickest that there is. */
static bool is_stopping(const struct ma_study *study) {
    return study->plan->pressure < MA_PRESSURE_CRITICAL;
}

/* Guests that veto a squeeze stay where they are, and what was under way of theirs is to come of the others, unless these
 * cannot pay for that. */
static int divide(struct ma_study *study, struct balanced_items *all, uint64_t sum_bytes) {
    uint64_t short_bytes = 0;
    int r = balanced_set_parts(study, all, balanced_budget_bytes(study, sum_bytes));

    for (size_t k = 0; r == 0 && k < all->n_items; k++) {
        const struct ma_facts *facts = &study->facts[all->guests[k]];

        set_item(study, all, k);
        if (facts->is_vetoing) {
            all->honours_vetoes = true;
            all->vetoed_bytes += is_stopping(study) ? facts->in_flight_bytes : 0;
            all->items[k].floor_bytes =
                balanced_base_bytes(facts) + (is_stopping(study) ? facts->in_flight_bytes : 0);
            all->items[k].ceiling_bytes =
                ma_max_u64(all->items[k].ceiling_bytes, all->items[k].floor_bytes);
        }
    }
    r = r < 0 ? r : solve(study, all, sum_bytes, &short_bytes);
    if (r < 0 || !all->honours_vetoes || short_bytes == 0) {
        return r;
    }
    all->honours_vetoes = false;
    all->vetoed_bytes = 0;
    for (size_t k = 0; k < all->n_items; k++) {
        set_item(study, all, k);
    }
    return solve(study, all, sum_bytes, &short_bytes);
}

void balanced_stop_squeeze(struct ma_study *study, uint32_t guest) {
    const struct ma_facts *facts = &study->facts[guest];
    uint64_t actual = facts->guest->actual_bytes;

    if (facts->in_flight_bytes > MA_BALLOON_ARRIVED_BYTES && actual > MA_MIB) {
        balanced_add_balloon(study, guest, ma_round_down(actual - 1, MA_MIB),
                             MA_REASON_GUEST_PRESSURE);
    }
}

/* On its way back to the host, whoever's turn it was. */
static uint64_t promised_bytes(const struct ma_study *study, const struct balanced_items *all) {
    uint64_t sum = 0;

    for (size_t k = 0; k < all->n_items; k++) {
        const struct ma_facts *facts = &study->facts[all->guests[k]];

        sum += ma_sub_floor0(facts->guest->actual_bytes, balanced_base_bytes(facts));
    }
    return sum;
}

/* A short node's missing bytes are not in the host's sum: whoever the division shrinks for it, goes. */
static void move_all(struct ma_study *study, struct balanced_items *all, uint64_t sum_bytes) {
    uint64_t missing =
        ma_sub_floor0(sum_bytes + all->vetoed_bytes, balanced_budget_bytes(study, sum_bytes));
    bool is_hurried = balanced_is_hurried(study);
    /* Here for a bid alone. */
    bool is_exact = study->plan->pressure == MA_PRESSURE_NORMAL;

    /* Where nothing else is missing, it would wait for ever. */
    if (missing == 0 && is_room_too_small(study, all)) {
        missing =
            ma_sub_floor0(sum_of_bids(study, all), room_bytes(study) + promised_bytes(study, all));
    }
    for (size_t k = 0; k < all->n_items; k++) {
        const struct ma_facts *facts = &study->facts[all->guests[k]];
        uint64_t *target = &all->items[k].target_bytes;

        if (*target < balanced_base_bytes(facts)) {
            *target = step_towards(study, facts, *target, all->has_bid, is_hurried);
        } else if (facts->is_vetoing && all->honours_vetoes && is_stopping(study)) {
            balanced_stop_squeeze(study, all->guests[k]);
        }
    }
    shrink_largest(study, all, all->n_nodes > 0 ? UINT64_MAX : missing, is_exact);
    relieve_all(study, all);
}

int balanced_divide(struct ma_study *study) {
    size_t mark = study->arena.used;
    struct balanced_items all;
    uint64_t sum = 0;
    int r;

    if (study->need.ram < 0) {
        return -ENOSPC;
    }
    r = balanced_collect_items(study, &all, &sum);
    if (r == 0 && all.n_items > 0) {
        r = divide(study, &all, sum);
    }
    if (r == 0 && study->plan->pressure == MA_PRESSURE_NORMAL && !all.has_bid &&
        !all.honours_vetoes) {
        /* Nobody's word is worth more than it has: as if nothing were said. What is divided would be given back, and
         * divided again. */
        balanced_give_back(study, false);
    } else if (r == 0) {
        move_all(study, &all, sum);
    }
    study->arena.used = mark;
    return r;
}
