/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-price.c - the lower bound of a node, the slots it rules out, and a plan from what it learns.
 *
 * Every row gets a price per MiB, p(d) >= 0. Whatever the prices,
 *
 *   L(p) = base + sum p(d) residual(d) + sum over groups of min(cheapest joint slot,
 *                                                              sum over picks of the cheapest slot)
 *
 * with each slot at cost - sum p(d) frees(d), is no more than the cost of any plan of this node; so the certificate
 * never depends on how good the prices are, and rounding prices to integers costs sharpness, not truth. Good prices
 * are found by projected subgradient steps of Polyak's length with momentum, and along one row at a time (cover-line.c)
 * where these leave the bound far below the best plan.
 *
 * Numbers. Costs and prices are scaled by one power of two so that the best plan costs about 2^50; prices are held
 * so that price * frees <= 2^58 / m. A slot's reduced cost then fits int64_t with room to spare; sums over slots
 * and rows are __int128. Where costs would not fit they are rounded down, which again only lowers the bound.
 *
 * Rejected: a linear program (no better bound, far more code); floating point (a different plan with and without
 * fused multiply-add). */
#include <string.h>

#include "bytes.h"

#include "cover-price.h"

#define PRODUCT_BITS 58
/* Directions have this many fraction bits; a direction is the missing share of a row's residual. */
#define DIRECTION_BITS 20
#define DIRECTION_MAX  (INT64_C(1) << 30)
#define MOMENTUM_TENTH 3 /* of the old direction; without any, prices zigzag between two rows */
/* Step length in 1/65536, halved after some rounds without progress. Too long: never settles; too short: never
 * arrives. Measured in the experiments behind this file. */
#define STEP_FIRST UINT32_C(45875)
#define STEP_LEAST UINT32_C(1300)
#define STALLS_MAX 3U
/* Progress below this share of the bound counts as none. */
#define STALL_SHARE 10000
/* A bound further below the best plan than this part of it is looked at row by row (cover-line.c). Too small: time where
 * prices are good; too large: bounds that tell nothing. Measured. */
#define FAR_DIVISOR 64
/* A run of that many rounds is the root's; plans are tried on the way there, as prices on the way see other plans. */
#define ROOT_ROUNDS_LEAST 40U
#define REPAIR_EVERY      16U
/* Nodes later than the first ones try a plan only now and then: neighbours mostly lead to the same one, and repair
 * takes longer than pricing. */
#define PLANS_ALWAYS 24U
#define PLANS_EVERY  4U

struct priced_row {
    int64_t price;
    const int32_t *frees;
};

/* One row, or two or four in one pass: a half or a quarter of the loads and stores of a value that all rows change. */
static void reduce_by(struct cover_local *local, const struct priced_row *row) {
    for (uint32_t s = 0; s < local->n_slots; s++) {
        local->value[s] -= row->price * row->frees[s];
    }
}

static void reduce_by_two(struct cover_local *local, const struct priced_row *rows) {
    for (uint32_t s = 0; s < local->n_slots; s++) {
        local->value[s] -= rows[0].price * rows[0].frees[s] + rows[1].price * rows[1].frees[s];
    }
}

static void reduce_by_four(struct cover_local *local, const struct priced_row *rows) {
    for (uint32_t s = 0; s < local->n_slots; s++) {
        local->value[s] -= rows[0].price * rows[0].frees[s] + rows[1].price * rows[1].frees[s] +
                           rows[2].price * rows[2].frees[s] + rows[3].price * rows[3].frees[s];
    }
}

void ma_cover_reduce_costs(struct cover_core *core, const int64_t *price) {
    struct cover_local *local = &core->local;
    struct priced_row rows[MA_ROWS_MAX];
    size_t n_rows = 0;
    for (size_t d = 0; d < local->m; d++) {
        if (price[d] != 0) {
            rows[n_rows++] =
                (struct priced_row){.price = price[d], .frees = local->frees + d * core->max_slots};
        }
    }
    memcpy(local->value, local->cost, local->n_slots * sizeof(*local->value));
    size_t k = 0;
    for (; k + 3 < n_rows; k += 4) {
        reduce_by_four(local, &rows[k]);
    }
    for (; k + 1 < n_rows; k += 2) {
        reduce_by_two(local, &rows[k]);
    }
    if (n_rows % 2 != 0) {
        reduce_by(local, &rows[n_rows - 1]);
    }
    core->operations += (2 + n_rows) * (uint64_t) local->n_slots;
}

static uint32_t cheapest(const struct cover_local *local, uint32_t first, uint32_t n) {
    uint32_t best = first;
    for (uint32_t s = first + 1; s < first + n; s++) {
        if (local->value[s] < local->value[best]) {
            best = s;
        }
    }
    return best;
}

/* Cheapest choice of the picks of a group. */
static __int128 price_members(struct cover_local *local, const struct cover_local_group *group) {
    __int128 sum = group->mode_cost;
    for (uint32_t i = group->first_pick; i < group->first_pick + group->n_picks; i++) {
        local->pick_best[i] = cheapest(local, local->picks[i].first, local->picks[i].n);
        sum += local->value[local->pick_best[i]];
    }
    return sum;
}

static __int128 price_group(struct cover_local *local, uint32_t g) {
    const struct cover_local_group *group = &local->groups[g];
    local->group_best[g] = MA_COVER_NONE;
    if (group->n_joint == 0 && group->n_picks == 1) { /* nearly all */
        const struct cover_local_pick *pick = &local->picks[group->first_pick];
        uint32_t best = cheapest(local, pick->first, pick->n);
        local->pick_best[group->first_pick] = best;
        return group->mode_cost + local->value[best];
    }
    if (group->n_joint == 0) {
        return price_members(local, group);
    }
    uint32_t joint = cheapest(local, group->first_joint, group->n_joint);
    __int128 members = group->may_be_members ? price_members(local, group) : 0;
    if (group->may_be_members && members <= local->value[joint]) {
        return members;
    }
    local->group_best[g] = joint;
    return local->value[joint];
}

static void
take_choice(struct cover_core *core, struct cover_run *run, uint32_t slot, uint32_t share) {
    struct cover_local *local = &core->local;
    const int32_t *frees = local->frees + slot;
    local->weight[slot] += share;
    if (core->option[local->slot[slot]] == MA_COVER_NONE) {
        return;
    }
    for (size_t d = 0; d < local->m; d++) {
        run->missing[d] -= frees[d * core->max_slots];
    }
}

void ma_cover_note_choice(struct cover_core *core, struct cover_run *run, uint32_t share) {
    struct cover_local *local = &core->local;
    local->weight_sum += share;
    for (size_t d = 0; d < local->m; d++) {
        run->missing[d] = local->residual[d];
    }
    for (uint32_t g = 0; g < local->n_groups; g++) {
        const struct cover_local_group *group = &local->groups[g];
        if (local->group_best[g] != MA_COVER_NONE) {
            take_choice(core, run, local->group_best[g], share);
            continue;
        }
        local->mode_weight[g] += share;
        for (uint32_t i = group->first_pick; i < group->first_pick + group->n_picks; i++) {
            take_choice(core, run, local->pick_best[i], share);
        }
    }
    core->operations += local->n_picks;
}

/* L(p) from reduced costs, and the cheapest slots in local->pick_best and group_best. */
__int128 ma_cover_sum_bound(struct cover_core *core, const int64_t *price) {
    struct cover_local *local = &core->local;
    __int128 sum = cover_scaled(core, local->base);
    for (size_t d = 0; d < local->m; d++) {
        sum += (__int128) price[d] * local->residual[d];
    }
    for (uint32_t g = 0; g < local->n_groups; g++) {
        sum += price_group(local, g);
    }
    return sum;
}

static __int128 bound_of(struct cover_core *core, const int64_t *price) {
    ma_cover_reduce_costs(core, price);
    return ma_cover_sum_bound(core, price);
}

void ma_cover_hold_price(const struct cover_core *core, size_t d, __int128 *price) {
    __int128 most = (INT64_C(1) << PRODUCT_BITS) / (int64_t) core->local.m;
    most /= core->local.frees_max[d];
    *price = *price < 0 ? 0 : *price > most ? most : *price;
}

static void forget_choices(struct cover_local *local) {
    local->weight_sum = 0;
    for (uint32_t s = 0; s < local->n_slots; s++) {
        local->weight[s] = 0;
    }
    for (uint32_t g = 0; g < local->n_groups; g++) {
        local->mode_weight[g] = 0;
    }
}

/* The direction's squared length in 2^-40, 0 where no price can move. */
static __int128 find_direction(const struct cover_core *core, struct cover_run *run) {
    const struct cover_local *local = &core->local;
    __int128 length = 0;
    for (size_t d = 0; d < local->m; d++) {
        int64_t residual = local->residual[d];
        int64_t size = (residual < 0 ? -residual : residual) + 1;
        __int128 wanted = (__int128) run->missing[d] * (1 << DIRECTION_BITS) / size;
        int64_t held = wanted > DIRECTION_MAX    ? DIRECTION_MAX
                       : wanted < -DIRECTION_MAX ? -DIRECTION_MAX
                                                 : (int64_t) wanted;
        int64_t to = (MOMENTUM_TENTH * run->direction[d] + (10 - MOMENTUM_TENTH) * held) / 10;
        run->direction[d] = run->price[d] <= 0 && to < 0 ? 0 : to;
        length += (__int128) run->direction[d] * run->direction[d];
    }
    return length;
}

/* p(d) += step * (target - L) * direction(d) / (|direction|^2 * size(d)) */
static bool move_prices(const struct cover_core *core, struct cover_run *run) {
    const struct cover_local *local = &core->local;
    __int128 length = find_direction(core, run);
    if (length == 0) {
        return false;
    }
    __int128 gap = cover_scaled_limit(core) - run->bound;
    __int128 most_gap = run->bound / 4 + (INT64_C(1) << 20);
    bool is_unknown = core->best.cost == COVER_ABSENT;
    gap = is_unknown || gap <= 0 ? most_gap : gap;
    gap = gap > (INT64_C(1) << PRODUCT_BITS) ? INT64_C(1) << PRODUCT_BITS : gap;
    gap = gap < 1 ? 1 : gap;
    for (size_t d = 0; d < local->m; d++) {
        int64_t residual = local->residual[d];
        int64_t size = (residual < 0 ? -residual : residual) + 1;
        __int128 pull = gap * run->step / 65536 * run->direction[d];
        __int128 price =
            run->price[d] + pull * (1 << DIRECTION_BITS) / length / size; /* <= 2^108 */
        ma_cover_hold_price(core, d, &price);
        run->price[d] = (int64_t) price;
    }
    return true;
}

/* false: the run is over. */
static bool after_round(struct cover_core *core, struct cover_run *run) {
    bool is_better = run->bound > run->best_bound;
    if (is_better) {
        __int128 least = run->best_bound / STALL_SHARE;
        run->stalls =
            run->bound - run->best_bound > (least < 0 ? -least : least) ? 0 : run->stalls + 1;
        run->best_bound = run->bound;
        for (size_t d = 0; d < core->local.m; d++) {
            run->best_price[d] = run->price[d];
        }
    } else {
        run->stalls++;
    }
    if (run->stalls < STALLS_MAX) {
        return true;
    }
    run->stalls = 0;
    run->step /= 2;
    for (size_t d = 0; d < core->local.m; d++) {
        run->price[d] = run->best_price[d];
        run->direction[d] = 0;
    }
    return run->step >= STEP_LEAST;
}

/* What the node's set leaves to an open group, the first slot of each where it leaves several. */
static void fix_group(struct cover_core *core, const uint64_t *alive, uint32_t k) {
    const struct cover_group *group = &core->groups[k];
    struct cover_plan *plan = &core->trial;
    plan->group_slot[k] = group->mode_slot;
    for (uint32_t s = group->mode_slot; s <= group->mode_slot + group->n_joint; s++) {
        if (cover_bit(alive, s)) {
            plan->group_slot[k] = s;
            break;
        }
    }
    for (uint32_t p = group->first_pick; p < group->first_pick + group->n_picks; p++) {
        uint32_t first = core->picks[p].first_slot;
        uint64_t bits = cover_bits(alive, first, core->picks[p].n_slots);
        plan->pick_slot[p] = first + (bits != 0 ? (uint32_t) __builtin_ctzll(bits) : 0);
    }
}

/* The cheapest slots as a plan: fixed picks from the node's set, the rest from pricing. */
static void plan_from_choice(struct cover_core *core, const uint64_t *alive) {
    struct cover_local *local = &core->local;
    struct cover_plan *plan = &core->trial;
    if (core->n_open < core->n_groups) {
        memcpy(plan->group_slot, core->settled.group_slot,
               core->n_groups * sizeof(*plan->group_slot));
        memcpy(plan->pick_slot, core->settled.pick_slot, core->n_picks * sizeof(*plan->pick_slot));
    }
    for (uint32_t i = 0; i < core->n_open; i++) {
        fix_group(core, alive, core->open[i]);
    }
    for (uint32_t g = 0; g < local->n_groups; g++) {
        const struct cover_local_group *group = &local->groups[g];
        if (group->n_joint > 0 && local->group_best[g] != MA_COVER_NONE) {
            plan->group_slot[group->group] = local->slot[local->group_best[g]];
            continue;
        }
        for (uint32_t i = group->first_pick; i < group->first_pick + group->n_picks; i++) {
            plan->pick_slot[local->picks[i].pick] = local->slot[local->pick_best[i]];
        }
    }
}

/* Members of a group whose joint slot was taken are idle. */
static void settle_groups(struct cover_core *core) {
    for (uint32_t j = 0; j < core->n_open; j++) {
        uint32_t k = core->open[j];
        const struct cover_group *group = &core->groups[k];
        for (uint32_t i = 0; i < group->n_picks && core->trial.group_slot[k] != group->mode_slot;
             i++) {
            uint32_t p = group->first_pick + i;
            core->trial.pick_slot[p] = core->picks[p].first_slot;
        }
    }
}

static void try_plan(struct cover_core *core, const uint64_t *alive) {
    plan_from_choice(core, alive);
    settle_groups(core);
    ma_cover_plan_sum_open(core, &core->trial);
    core->operations += core->n_picks;
    /* At these prices: what one row lacks is not to be paid for with what another needs. */
    for (uint32_t s = 0; s < core->local.n_slots; s++) {
        core->priced[core->local.slot[s]] = core->local.value[s];
    }
    core->uses_prices = true;
    ma_cover_repair(core, core->local.slot, core->local.n_slots);
    core->uses_prices = false;
}

/* Slots that would lift the bound over the best plan are ruled out. */
static void rule_out(struct cover_core *core, uint64_t *alive, __int128 bound) {
    struct cover_local *local = &core->local;
    __int128 limit = cover_scaled_limit(core);
    for (uint32_t g = 0; g < local->n_groups; g++) {
        const struct cover_local_group *group = &local->groups[g];
        __int128 chosen = 0;
        __int128 members = 0;
        if (group->n_joint > 0) {
            members = group->may_be_members ? price_members(local, group) : 0;
            chosen = local->group_best[g] != MA_COVER_NONE ? local->value[local->group_best[g]]
                                                           : members;
            for (uint32_t s = group->first_joint; s < group->first_joint + group->n_joint; s++) {
                if (bound - chosen + local->value[s] > limit) {
                    cover_bit_clear(alive, local->slot[s]);
                }
            }
            if (group->may_be_members && bound - chosen + members > limit) {
                cover_bit_clear(alive, core->groups[group->group].mode_slot);
                continue;
            }
        }
        for (uint32_t i = group->first_pick; i < group->first_pick + group->n_picks; i++) {
            const struct cover_local_pick *pick = &local->picks[i];
            __int128 least = bound - chosen + members - local->value[local->pick_best[i]];
            for (uint32_t s = pick->first; s < pick->first + pick->n; s++) {
                if (least + local->value[s] > limit) {
                    cover_bit_clear(alive, local->slot[s]);
                }
            }
        }
    }
    core->operations += local->n_slots;
}

static int64_t lower_from(const struct cover_core *core, __int128 bound) {
    if (bound <= 0) {
        return 0;
    }
    __int128 lower = bound;
    if (core->scale_bits >= 0) {
        __int128 unit = (__int128) 1 << core->scale_bits;
        lower = (bound + unit - 1) / unit;
    } else {
        lower = bound * ((__int128) 1 << -core->scale_bits);
    }
    return lower >= COVER_ABSENT ? COVER_ABSENT : (int64_t) lower;
}

static void start(struct cover_core *core, const struct cover_node *node, struct cover_run *run) {
    struct cover_local *local = &core->local;
    *run = (struct cover_run){.step = node->depth > 0 ? STEP_FIRST / 2 : STEP_FIRST,
                              .best_bound = -((__int128) 1 << 126)};
    for (size_t d = 0; d < local->m; d++) {
        __int128 price = node->price[local->row[d]];
        ma_cover_hold_price(core, d, &price);
        run->price[d] = (int64_t) price;
    }
    forget_choices(local);
}

/* true: the node is closed, nothing in it is better than core->best. */
bool ma_cover_is_beaten(const struct cover_core *core, __int128 bound) {
    return bound > cover_scaled_limit(core);
}

static bool
climb(struct cover_core *core, struct cover_run *run, uint64_t *alive, unsigned rounds) {
    if (core->local.m == 1) {
        return ma_cover_climb_one(core, run, rounds);
    }
    for (unsigned round = 0; round < rounds; round++) {
        run->bound = bound_of(core, run->price);
        if (ma_cover_is_beaten(core, run->bound)) {
            return true;
        }
        ma_cover_note_choice(core, run, COVER_SHARE_FIRST + round);
        bool goes_on = after_round(core, run);
        bool is_time = rounds >= ROOT_ROUNDS_LEAST && round % REPAIR_EVERY == REPAIR_EVERY / 2;
        if (is_time) {
            try_plan(core, alive);
        }
        if (!goes_on || core->operations > core->max_operations || !move_prices(core, run)) {
            break;
        }
    }
    return false;
}

static bool is_far(const struct cover_core *core, const struct cover_run *run) {
    __int128 limit = cover_scaled_limit(core);
    return core->best.cost != COVER_ABSENT && limit - run->best_bound > limit / FAR_DIVISOR;
}

/* Subgradient steps once more, from the best prices. */
static void restart(const struct cover_core *core, struct cover_run *run) {
    for (size_t d = 0; d < core->local.m; d++) {
        run->price[d] = run->best_price[d];
        run->direction[d] = 0;
    }
    run->step = STEP_FIRST;
    run->stalls = 0;
}

static bool
climb_far(struct cover_core *core, struct cover_run *run, uint64_t *alive, unsigned rounds) {
    if (core->local.m <= 1 || !is_far(core, run)) {
        return false;
    }
    if (ma_cover_climb_rows(core, run)) {
        return true;
    }
    restart(core, run);
    return climb(core, run, alive, rounds);
}

/* Localises, prices, repairs and reduces one node. false: it is closed. node->lower and the node's set are updated. */
bool ma_cover_price(struct cover_core *core,
                    struct cover_node *node,
                    uint64_t *alive,
                    unsigned rounds,
                    bool goes_far) {
    struct cover_local *local = &core->local;
    struct cover_run run;
    if (!ma_cover_localise(core, alive)) {
        return false;
    }
    start(core, node, &run);
    if (climb(core, &run, alive, rounds) || (goes_far && climb_far(core, &run, alive, rounds))) {
        return false;
    }
    __int128 bound = bound_of(core, run.best_price);
    node->lower = ma_max_i64(node->lower, lower_from(core, bound));
    for (size_t d = 0; d < local->m; d++) {
        node->price[local->row[d]] = run.best_price[d];
    }
    bool is_leaf = local->m == 0 || local->n_slots == 0;
    if (is_leaf || core->nodes < PLANS_ALWAYS || core->nodes % PLANS_EVERY == 0) {
        try_plan(core, alive);
    }
    if (ma_cover_is_beaten(core, bound)) {
        return false;
    }
    rule_out(core, alive, bound);
    return true;
}
