/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-one.c - one resource, one option per guest: the least cost that covers, exactly.
 *
 * The items, cut at the need, are sorted by frees per cost (exact, by cross product). The break item b is the one
 * that completes the need when items are taken in that order; a plan with little regret differs from the prefix
 * before b only near b. So the dynamic program starts with the prefix as its one state and lets in one item more
 * on either side of b at a time, nearest first: states may remove an item before b or add one from b on.
 *
 *   I1  states are sorted by frees, most first, and costs strictly fall: everything else is dominated
 *   I2  a state whose bound (its cost, completed or relieved at the ratio of the next item) reaches the best plan
 *       is dropped; so is an item that cannot be flipped below the best plan (a bound in O(1))
 *   I3  proven when no state is left. Out of states or operations: the least bound of those left is the certificate,
 *       and the states are only merged while there is room for all of them, so none is lost
 *
 * Every plan returned is within twice the optimum even if the program is stopped at once, because the starting plan
 * is: items in order, one that would complete the need is only noted with the cost it would make, the cheapest of
 * these completions wins. Rejected: a table over MiB (megabytes for hosts of TiB, and rounding is a gap);
 * branch and bound alone (exponential on equal ratios where dominance merges the states). */
#include "bytes.h"

#include "cover-internal.h"

struct one {
    struct cover_core *core;
    const struct cover_key *items; /* key: frees, cut at the need */
    int64_t n;
    int64_t need;
    int64_t broken;       /* position of the break item */
    int64_t prefix_frees; /* of items before it */
    int64_t prefix_cost;
    int64_t low;  /* next to remove */
    int64_t high; /* next to add */
    struct cover_state *states;
    uint32_t n_states;
    uint32_t max_states;
    uint32_t *list;
    uint32_t *spare;
    uint32_t n_list;
    uint32_t best_state;
    int64_t best_cost;
};

static int64_t frees_of(const struct one *one, int64_t at) {
    return (int64_t) one->items[at].key;
}
static int64_t cost_of(const struct one *one, int64_t at) {
    return one->core->cost[one->items[at].slot];
}
/* a * b / by, rounded up or down; a, b >= 0, by > 0. */
static int64_t part_up(int64_t a, int64_t b, int64_t by) {
    return (int64_t) (((__int128) a * b + by - 1) / by);
}
static int64_t part_down(int64_t a, int64_t b, int64_t by) {
    return (int64_t) ((__int128) a * b / by);
}

static bool
has_better_ratio(const void *context, const struct cover_key *a, const struct cover_key *b) {
    const struct cover_core *core = context;
    __int128 left = (__int128) a->key * core->cost[b->slot];
    __int128 right = (__int128) b->key * core->cost[a->slot];
    if (left != right) {
        return left > right;
    }
    if (core->cost[a->slot] != core->cost[b->slot]) {
        return core->cost[a->slot] < core->cost[b->slot];
    }
    return a->slot < b->slot;
}

static uint32_t add_alive(struct cover_core *core, uint32_t first, uint32_t n, uint32_t *items) {
    uint32_t added = 0;
    for (uint32_t s = first + 1; s < first + n; s++) {
        if (cover_bit(core->alive, s)) {
            int64_t frees = ma_min_i64(cover_frees(core, s)[0], core->need[0]);
            core->keys[(*items)++] = (struct cover_key){.key = (uint64_t) frees, .slot = s};
            added++;
        }
    }
    return added;
}

/* The items, in core->keys. false: some guest or group has a choice of options, which this program does not know. */
static bool collect(struct cover_core *core, uint32_t *items) {
    *items = 0;
    for (uint32_t k = 0; k < core->n_groups; k++) {
        const struct cover_group *group = &core->groups[k];
        uint32_t joint = add_alive(core, group->mode_slot, group->n_joint + 1, items);
        uint32_t own = 0;
        for (uint32_t i = 0; i < group->n_picks; i++) {
            const struct cover_pick *pick = &core->picks[group->first_pick + i];
            uint32_t n = add_alive(core, pick->first_slot, pick->n_slots, items);
            own += n;
            if (n > 1) {
                return false;
            }
        }
        if (joint > 1 || (joint == 1 && own > 0)) {
            return false;
        }
    }
    return true;
}

static void keep_trial(struct cover_core *core) {
    if (ma_cover_plan_covers(core, &core->trial)) {
        ma_cover_prune(core);
        (void) ma_cover_keep_if_better(core, &core->trial);
    }
}

/* The two starting plans: the cheapest completion (within twice the optimum), and the cheapest item that suffices. */
static void start_plans(struct one *one) {
    struct cover_core *core = one->core;
    int64_t frees = 0;
    int64_t cost = 0;
    int64_t least = INT64_MAX;
    int64_t last = -1;
    int64_t single = -1;
    for (int64_t i = 0; i < one->n; i++) {
        if (frees_of(one, i) >= one->need &&
            (single < 0 || cost_of(one, i) < cost_of(one, single))) {
            single = i;
        }
        if (frees + frees_of(one, i) < one->need) {
            frees += frees_of(one, i);
            cost += cost_of(one, i);
        } else if (cost + cost_of(one, i) < least) {
            least = cost + cost_of(one, i);
            last = i;
        }
    }
    frees = 0;
    ma_cover_plan_clear(core, &core->trial);
    for (int64_t i = 0; i < last; i++) {
        if (frees + frees_of(one, i) < one->need) {
            frees += frees_of(one, i);
            ma_cover_plan_switch(core, &core->trial, one->items[i].slot);
        }
    }
    if (last >= 0) {
        ma_cover_plan_switch(core, &core->trial, one->items[last].slot);
        keep_trial(core);
    }
    if (single >= 0) {
        ma_cover_plan_clear(core, &core->trial);
        ma_cover_plan_switch(core, &core->trial, one->items[single].slot);
        keep_trial(core);
    }
    core->operations += 4 * (uint64_t) one->n;
}

static void find_break(struct one *one) {
    while (one->prefix_frees + frees_of(one, one->broken) < one->need) {
        one->prefix_frees += frees_of(one, one->broken);
        one->prefix_cost += cost_of(one, one->broken);
        one->broken++;
    }
    one->low = one->broken - 1;
    one->high = one->broken;
}

/* Least cost of any plan in which item `at` is flipped against the prefix, by the break item's ratio. */
static int64_t flipped_bound(const struct one *one, int64_t at) {
    bool is_added = at >= one->broken;
    int64_t by = frees_of(one, one->broken);
    int64_t ratio = cost_of(one, one->broken);
    int64_t frees = one->prefix_frees + (is_added ? frees_of(one, at) : -frees_of(one, at));
    int64_t cost = one->prefix_cost + (is_added ? cost_of(one, at) : -cost_of(one, at));
    return frees < one->need ? cost + part_up(one->need - frees, ratio, by)
                             : cost - part_down(frees - one->need, ratio, by);
}

/* Least cost of any plan that goes on from this state. INT64_MAX: none does. */
static int64_t bound_of(const struct one *one, const struct cover_state *state) {
    if (state->got >= one->need) {
        return one->low < 0
                   ? state->cost
                   : state->cost - part_down(state->got - one->need, cost_of(one, one->low),
                                             frees_of(one, one->low));
    }
    if (one->high >= one->n) {
        return INT64_MAX;
    }
    return state->cost +
           part_up(one->need - state->got, cost_of(one, one->high), frees_of(one, one->high));
}

struct flip {
    int64_t frees;
    int64_t cost;
    int32_t tag;
};

/* The next of the two lists by I1's order: the states as they are (true), or with the item flipped. */
static bool plain_is_next(const struct one *one, const struct flip *flip, uint32_t i, uint32_t j) {
    if (i >= one->n_list || j >= one->n_list) {
        return i < one->n_list;
    }
    const struct cover_state *a = &one->states[one->list[i]];
    const struct cover_state *b = &one->states[one->list[j]];
    if (a->got != b->got + flip->frees) {
        return a->got > b->got + flip->frees;
    }
    return a->cost <= b->cost + flip->cost;
}

static void merge_item(struct one *one, const struct flip *flip) {
    uint32_t i = 0;
    uint32_t j = 0;
    uint32_t k = 0;
    int64_t last_cost = INT64_MAX;
    while (i < one->n_list || j < one->n_list) {
        bool plain = plain_is_next(one, flip, i, j);
        uint32_t from = one->list[plain ? i++ : j++];
        struct cover_state state = one->states[from];
        state.got += plain ? 0 : flip->frees;
        state.cost += plain ? 0 : flip->cost;
        if (state.cost >= last_cost) {
            continue;
        }
        last_cost = state.cost;
        if (!plain) {
            state.parent = from;
            state.item = flip->tag;
            from = one->n_states;
            one->states[one->n_states++] = state;
        }
        if (state.got >= one->need && state.cost < one->best_cost) {
            one->best_cost = state.cost;
            one->best_state = from;
        }
        one->spare[k++] = from;
    }
    one->core->operations += 2 * (uint64_t) one->n_list * 2;
    uint32_t *t = one->list;
    one->list = one->spare;
    one->spare = t;
    one->n_list = k;
}

/* Drops beaten states; returns the least bound of the others. */
static int64_t drop_states(struct one *one) {
    uint32_t k = 0;
    int64_t least = one->best_cost;
    for (uint32_t i = 0; i < one->n_list; i++) {
        int64_t bound = bound_of(one, &one->states[one->list[i]]);
        if (bound < one->best_cost) {
            least = ma_min_i64(least, bound);
            one->list[k++] = one->list[i];
        }
    }
    one->core->operations += 4 * (uint64_t) one->n_list;
    one->n_list = k;
    return least;
}

/* Returns the proven lower bound. */
static int64_t expand(struct one *one) {
    int64_t least = one->best_cost;
    while (one->n_list > 0 && (one->low >= 0 || one->high < one->n)) {
        bool adds = one->low < 0 ||
                    (one->high < one->n && one->high - one->broken <= one->broken - 1 - one->low);
        int64_t at = adds ? one->high : one->low;
        bool is_full = one->n_states + one->n_list > one->max_states ||
                       2 * one->n_list > one->max_states ||
                       one->core->operations > one->core->max_operations;
        if (is_full) {
            return least;
        }
        if (flipped_bound(one, at) < one->best_cost) {
            struct flip flip = {
                .frees = adds ? frees_of(one, at) : -frees_of(one, at),
                .cost = adds ? cost_of(one, at) : -cost_of(one, at),
                .tag = (int32_t) (adds ? at + 1 : -at - 1),
            };
            merge_item(one, &flip);
        }
        one->high += adds ? 1 : 0;
        one->low -= adds ? 0 : 1;
        one->core->operations++;
        least = drop_states(one);
    }
    return one->best_cost;
}

static void take_best_state(struct one *one) {
    struct cover_core *core = one->core;
    if (one->best_state == UINT32_MAX) {
        return;
    }
    ma_cover_plan_clear(core, &core->trial);
    for (int64_t i = 0; i < one->broken; i++) {
        ma_cover_plan_switch(core, &core->trial, one->items[i].slot);
    }
    for (uint32_t s = one->best_state; one->states[s].item != 0; s = one->states[s].parent) {
        int32_t tag = one->states[s].item;
        uint32_t slot = one->items[tag > 0 ? tag - 1 : -tag - 1].slot;
        uint32_t owner = core->owner[slot];
        uint32_t none = (owner & COVER_OWNER_JOINT) != 0
                            ? core->groups[owner & ~COVER_OWNER_JOINT].mode_slot
                            : core->picks[owner].first_slot;
        ma_cover_plan_switch(core, &core->trial, tag > 0 ? slot : none);
    }
    (void) ma_cover_keep_if_better(core, &core->trial);
}

static void lay_out_states(struct one *one) {
    struct cover_core *core = one->core;
    size_t each = sizeof(struct cover_state) + 2 * sizeof(uint32_t);
    size_t room = ma_min_u64(core->pool_bytes / each, COVER_STATES_MAX);
    one->max_states = (uint32_t) room;
    one->states = (struct cover_state *) (void *) core->pool;
    one->list = (uint32_t *) (void *) (one->states + room);
    one->spare = one->list + room;
    one->states[0] = (struct cover_state){.got = one->prefix_frees, .cost = one->prefix_cost};
    one->n_states = 1;
    one->list[0] = 0;
    one->n_list = 1;
}

bool ma_cover_one(struct cover_core *core) {
    uint32_t n;
    struct one one = {.core = core, .best_state = UINT32_MAX};
    if (core->m != 1 || core->need[0] <= 0 || !collect(core, &n) || n == 0) {
        return false;
    }
    ma_cover_repair_init(core); /* pruning the starting plans measures with it */
    ma_cover_sort(core, n, has_better_ratio, core);
    for (uint32_t i = 0; i < n; i++) {
        core->items[i] = core->keys[i];
    }
    one.items = core->items;
    one.n = n;
    one.need = core->need[0];
    start_plans(&one);
    find_break(&one);
    one.best_cost = core->best.cost;
    int64_t lower =
        one.prefix_cost +
        part_up(one.need - one.prefix_frees, cost_of(&one, one.broken), frees_of(&one, one.broken));
    core->lower = ma_min_i64(lower, one.best_cost);
    if (lower < one.best_cost) {
        lay_out_states(&one);
        core->lower = ma_max_i64(core->lower, expand(&one));
        take_best_state(&one);
    }
    return true;
}
