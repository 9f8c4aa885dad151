/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-one.c - one resource: the least cost that covers, exactly.
 *
 * A class is a guest, or a group whose members have nothing of their own; it takes at most one of its slots. Of each
 * class the slots on the lower hull of (frees, cost) make steps, from nothing to the first, from the first to the second,
 * ever dearer by the MiB. All steps, cut at the need, are sorted by frees per cost (exact, by cross product). The break
 * step b is the one that completes the need when steps are taken in that order; a plan with little regret differs from
 * the prefix before b only in classes that have a step near b. So the dynamic program starts with the prefix as its one
 * state and lets in one class more at a time, that of the step nearest to b on either side: states may then have any
 * other slot of that class, on the hull or not.
 *
 *   I1  states are sorted by frees, most first, and costs strictly fall: everything else is dominated
 *   I2  a state whose bound (its cost, completed or relieved at the ratio of the next step of a class that is not in yet)
 *       reaches the best plan is dropped; so is a slot that cannot stand in for the prefix's below the best plan (a
 *       bound in O(1)). Hulls are convex: no other slot of a class does better than its next step
 *   I3  proven when no state is left. Out of states or operations: the least bound of those left is the certificate,
 *       and the states are only merged while there is room for all of them, so none is lost
 *
 * With one slot a class every plan returned is within twice the optimum even if the program is stopped at once, because
 * the starting plan is: steps in order, one that would complete the need is only noted with the cost it would make, the
 * cheapest of these completions wins. Rejected: a table over MiB (megabytes for hosts of TiB, and rounding is a gap);
 * branch and bound alone (exponential on equal ratios where dominance merges the states). */
#include "bytes.h"

#include "cover-internal.h"

/* Of one class. The planner's own problems have at most 12 options a guest; beyond this branch and bound does it. */
#define CLASS_SLOTS_MAX 32U

struct one {
    struct cover_core *core;
    const struct cover_key *steps; /* key: frees, cut at the need; slot: where the step leads */
    int64_t n;
    int64_t need;
    int64_t broken;       /* position of the break step */
    int64_t prefix_frees; /* of steps before it; their slots are in core->settled */
    int64_t prefix_cost;
    int64_t low;  /* next step back */
    int64_t high; /* next step on */
    struct cover_state *states;
    uint32_t n_states;
    uint32_t max_states;
    uint32_t *list;
    uint32_t *spare[2];
    uint32_t n_list;
    uint32_t best_state;
    int64_t best_cost;
};

/* The slots of an owner, with none. */
struct range {
    uint32_t first;
    uint32_t n;
};

static struct range range_of(const struct cover_core *core, uint32_t owner) {
    if ((owner & COVER_OWNER_JOINT) != 0) {
        const struct cover_group *group = &core->groups[owner & ~COVER_OWNER_JOINT];
        return (struct range){.first = group->mode_slot, .n = group->n_joint + 1};
    }
    return (struct range){.first = core->picks[owner].first_slot, .n = core->picks[owner].n_slots};
}

static uint32_t
chosen_of(const struct cover_core *core, const struct cover_plan *plan, uint32_t slot) {
    uint32_t owner = core->owner[slot];
    return (owner & COVER_OWNER_JOINT) != 0 ? plan->group_slot[owner & ~COVER_OWNER_JOINT]
                                            : plan->pick_slot[owner];
}

static int64_t slot_frees(const struct cover_core *core, uint32_t slot) {
    return ma_min_i64(cover_frees(core, slot)[0], core->need[0]);
}

/* Where the step to a slot on the hull starts stands in core->slots. */
static int64_t step_cost(const struct cover_core *core, uint32_t slot) {
    return core->cost[slot] - core->cost[core->slots[slot]];
}

static int64_t step_frees(const struct cover_core *core, uint32_t slot) {
    return slot_frees(core, slot) - slot_frees(core, core->slots[slot]);
}

static int64_t frees_of(const struct one *one, int64_t at) {
    return (int64_t) one->steps[at].key;
}
static int64_t cost_of(const struct one *one, int64_t at) {
    return step_cost(one->core, one->steps[at].slot);
}
/* a * b / by, rounded up or down; a, b >= 0, by > 0. */
static int64_t part_up(int64_t a, int64_t b, int64_t by) {
    return (int64_t) (((__int128) a * b + by - 1) / by);
}
static int64_t part_down(int64_t a, int64_t b, int64_t by) {
    return (int64_t) ((__int128) a * b / by);
}

/* Frees per cost, rounded down: what differs here differs exactly, so only equals need the wide products. As many bits
 * as MA_COVER_FREES_MAX_MIB leaves. */
#define RATIO_BITS 33
static uint64_t rough_ratio(int64_t frees, int64_t cost) {
    return cost > 0 ? ((uint64_t) frees << RATIO_BITS) / (uint64_t) cost : UINT64_MAX;
}

static bool
has_better_ratio(const void *context, const struct cover_key *a, const struct cover_key *b) {
    const struct cover_core *core = context;
    if (a->key != b->key) {
        return a->key > b->key;
    }
    int64_t a_cost = step_cost(core, a->slot);
    int64_t b_cost = step_cost(core, b->slot);
    __int128 left = (__int128) step_frees(core, a->slot) * b_cost;
    __int128 right = (__int128) step_frees(core, b->slot) * a_cost;
    if (left != right) {
        return left > right;
    }
    return a_cost != b_cost ? a_cost < b_cost : a->slot < b->slot;
}

/* The allowed slots of a class that free something, least first. */
struct slots {
    uint32_t slot[CLASS_SLOTS_MAX];
    uint32_t n;
};

static void insert(const struct cover_core *core, struct slots *slots, uint32_t slot) {
    int64_t frees = slot_frees(core, slot);
    uint32_t at = slots->n++;
    while (at > 0) {
        uint32_t before = slots->slot[at - 1];
        int64_t frees_before = slot_frees(core, before);
        if (frees_before < frees ||
            (frees_before == frees && core->cost[before] <= core->cost[slot])) {
            break;
        }
        slots->slot[at--] = before;
    }
    slots->slot[at] = slot;
}

/* Is the step from a to b dearer by the MiB than, or as dear as, the one from b to c? */
static bool is_above_hull(const struct cover_core *core, uint32_t a, uint32_t b, uint32_t c) {
    __int128 first =
        (__int128) (core->cost[b] - core->cost[a]) * (slot_frees(core, c) - slot_frees(core, b));
    __int128 second =
        (__int128) (core->cost[c] - core->cost[b]) * (slot_frees(core, b) - slot_frees(core, a));
    return first >= second;
}

/* Leaves the hull in *slots, behind none. */
static void find_hull(const struct cover_core *core, uint32_t none, struct slots *slots) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < slots->n; i++) {
        uint32_t slot = slots->slot[i];
        if (slot_frees(core, slot) <= (n > 0 ? slot_frees(core, slots->slot[n - 1]) : 0)) {
            continue;
        }
        while (n > 0 &&
               (core->cost[slot] <= core->cost[slots->slot[n - 1]] ||
                is_above_hull(core, n > 1 ? slots->slot[n - 2] : none, slots->slot[n - 1], slot))) {
            n--;
        }
        slots->slot[n++] = slot;
    }
    slots->n = n;
}

/* Adds the steps of a class to core->keys; returns how many slots it has, or UINT32_MAX: too many. */
static uint32_t add_steps(struct cover_core *core, struct range range, uint32_t *n_steps) {
    struct slots slots = {.n = 0};
    uint32_t n;
    for (uint32_t s = range.first + 1; s < range.first + range.n; s++) {
        if (!cover_bit(core->alive, s)) {
            continue;
        }
        if (slots.n >= CLASS_SLOTS_MAX) {
            return UINT32_MAX;
        }
        insert(core, &slots, s);
    }
    n = slots.n;
    find_hull(core, range.first, &slots);
    for (uint32_t i = 0; i < slots.n; i++) {
        uint32_t slot = slots.slot[i];
        uint32_t from = i > 0 ? slots.slot[i - 1] : range.first;
        core->slots[slot] = from;
        core->keys[(*n_steps)++] = (struct cover_key){
            .key = rough_ratio(step_frees(core, slot), step_cost(core, slot)), .slot = slot};
    }
    return n;
}

/* The steps, in core->keys. false: some group has both joint slots and members with slots, which this program does not
 * know. */
static bool collect(struct cover_core *core, uint32_t *n_steps) {
    *n_steps = 0;
    for (uint32_t k = 0; k < core->n_groups; k++) {
        const struct cover_group *group = &core->groups[k];
        uint32_t joint = add_steps(core, range_of(core, k | COVER_OWNER_JOINT), n_steps);
        uint32_t own = 0;
        for (uint32_t i = 0; i < group->n_picks; i++) {
            uint32_t n = add_steps(core, range_of(core, group->first_pick + i), n_steps);
            own |= n;
            if (n == UINT32_MAX) {
                return false;
            }
        }
        if (joint == UINT32_MAX || (joint > 0 && own > 0)) {
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

/* Steps in order into core->trial, up to `end`, without those that would complete the need. Where one would, *least and
 * *last tell the cheapest way. */
static void walk(const struct one *one, int64_t end, int64_t *least, int64_t *last) {
    struct cover_core *core = one->core;
    int64_t frees = 0;
    int64_t cost = 0;
    ma_cover_plan_clear(core, &core->trial);
    for (int64_t i = 0; i < end; i++) {
        uint32_t slot = one->steps[i].slot;
        uint32_t now = chosen_of(core, &core->trial, slot);
        int64_t more = slot_frees(core, slot) - slot_frees(core, now);
        int64_t dearer = core->cost[slot] - core->cost[now];
        if (frees + more < one->need) {
            frees += more;
            cost += dearer;
            ma_cover_plan_switch(core, &core->trial, slot);
        } else if (cost + dearer < *least) {
            *least = cost + dearer;
            *last = i;
        }
    }
}

/* The two starting plans: the cheapest completion, and the cheapest slot that suffices. */
static void start_plans(struct one *one) {
    struct cover_core *core = one->core;
    int64_t least = INT64_MAX;
    int64_t last = -1;
    uint32_t single = MA_COVER_NONE;
    for (int64_t i = 0; i < one->n; i++) {
        uint32_t slot = one->steps[i].slot;
        if (slot_frees(core, slot) >= one->need &&
            (single == MA_COVER_NONE || core->cost[slot] < core->cost[single])) {
            single = slot;
        }
    }
    walk(one, one->n, &least, &last);
    if (last >= 0) {
        walk(one, last, &least, &last);
        ma_cover_plan_switch(core, &core->trial, one->steps[last].slot);
        keep_trial(core);
    }
    if (single != MA_COVER_NONE) {
        ma_cover_plan_clear(core, &core->trial);
        ma_cover_plan_switch(core, &core->trial, single);
        keep_trial(core);
    }
    core->operations += 4 * (uint64_t) one->n;
}

static void find_break(struct one *one) {
    struct cover_core *core = one->core;
    ma_cover_plan_clear(core, &core->settled);
    while (one->prefix_frees + frees_of(one, one->broken) < one->need) {
        one->prefix_frees += frees_of(one, one->broken);
        one->prefix_cost += cost_of(one, one->broken);
        ma_cover_plan_switch(core, &core->settled, one->steps[one->broken].slot);
        one->broken++;
    }
    one->low = one->broken - 1;
    one->high = one->broken;
}

/* A slot instead of the one that the prefix has of its class. */
struct flip {
    int64_t frees;
    int64_t cost;
    uint32_t slot;
};

/* Least cost of any plan with this flip, by the break step's ratio. */
static int64_t flipped_bound(const struct one *one, const struct flip *flip) {
    int64_t by = frees_of(one, one->broken);
    int64_t ratio = cost_of(one, one->broken);
    int64_t frees = one->prefix_frees + flip->frees;
    int64_t cost = one->prefix_cost + flip->cost;
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

/* Two lists of states, the second of them as it was before the class came in. */
struct lists {
    const uint32_t *plain;
    uint32_t n_plain;
    const uint32_t *old;
    uint32_t n_old;
};

/* The next of the two by I1's order: the states as they are (true), or the old ones with the flip. */
static bool plain_is_next(const struct one *one,
                          const struct lists *lists,
                          const struct flip *flip,
                          uint32_t i,
                          uint32_t j) {
    if (i >= lists->n_plain || j >= lists->n_old) {
        return i < lists->n_plain;
    }
    const struct cover_state *a = &one->states[lists->plain[i]];
    const struct cover_state *b = &one->states[lists->old[j]];
    if (a->got != b->got + flip->frees) {
        return a->got > b->got + flip->frees;
    }
    return a->cost <= b->cost + flip->cost;
}

/* Returns how many states are in `to`. */
static uint32_t
merge_flip(struct one *one, const struct lists *lists, const struct flip *flip, uint32_t *to) {
    uint32_t i = 0;
    uint32_t j = 0;
    uint32_t k = 0;
    int64_t last_cost = INT64_MAX;
    while (i < lists->n_plain || j < lists->n_old) {
        bool plain = plain_is_next(one, lists, flip, i, j);
        uint32_t from = plain ? lists->plain[i++] : lists->old[j++];
        struct cover_state state = one->states[from];
        state.got += plain ? 0 : flip->frees;
        state.cost += plain ? 0 : flip->cost;
        if (state.cost >= last_cost) {
            continue;
        }
        last_cost = state.cost;
        if (!plain) {
            state.parent = from;
            state.slot = flip->slot;
            from = one->n_states;
            one->states[one->n_states++] = state;
        }
        if (state.got >= one->need && state.cost < one->best_cost) {
            one->best_cost = state.cost;
            one->best_state = from;
        }
        to[k++] = from;
    }
    one->core->operations += 2 * ((uint64_t) lists->n_plain + lists->n_old);
    return k;
}

/* Lets the class in: every state may have any of its slots. */
static void merge_class(struct one *one, struct range range) {
    struct cover_core *core = one->core;
    uint32_t *old = one->list;
    uint32_t n_old = one->n_list;
    uint32_t now = chosen_of(core, &core->settled, range.first);
    for (uint32_t s = range.first; s < range.first + range.n; s++) {
        struct flip flip = {.frees = slot_frees(core, s) - slot_frees(core, now),
                            .cost = core->cost[s] - core->cost[now],
                            .slot = s};
        if (s == now || !cover_bit(core->alive, s) || flipped_bound(one, &flip) >= one->best_cost) {
            continue;
        }
        struct lists lists = {
            .plain = one->list, .n_plain = one->n_list, .old = old, .n_old = n_old};
        uint32_t *to = one->spare[0];
        one->n_list = merge_flip(one, &lists, &flip, to);
        if (one->list == old) {
            one->spare[0] = one->spare[1];
        } else {
            one->spare[0] = one->list;
        }
        one->list = to;
    }
    if (one->list != old) {
        one->spare[1] = old;
    }
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

static bool is_in(const struct one *one, int64_t at) {
    const struct cover_core *core = one->core;
    return cover_bit(core->seen, range_of(core, core->owner[one->steps[at].slot]).first);
}

/* Past the steps of classes that are in. */
static void move_on(struct one *one) {
    while (one->high < one->n && is_in(one, one->high)) {
        one->high++;
    }
    while (one->low >= 0 && is_in(one, one->low)) {
        one->low--;
    }
}

/* Returns the proven lower bound. */
static int64_t expand(struct one *one) {
    struct cover_core *core = one->core;
    int64_t least = one->best_cost;
    while (one->n_list > 0 && (one->low >= 0 || one->high < one->n)) {
        bool adds = one->low < 0 ||
                    (one->high < one->n && one->high - one->broken <= one->broken - 1 - one->low);
        int64_t at = adds ? one->high : one->low;
        struct range range = range_of(core, core->owner[one->steps[at].slot]);
        uint64_t added = (uint64_t) one->n_list * (range.n - 1);
        bool is_full = one->n_states + added > one->max_states ||
                       one->n_list + added > one->max_states ||
                       core->operations > core->max_operations;
        if (is_full) {
            return least;
        }
        merge_class(one, range);
        cover_bit_set(core->seen, range.first);
        move_on(one);
        core->operations++;
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
        ma_cover_plan_switch(core, &core->trial, one->steps[i].slot);
    }
    for (uint32_t s = one->best_state; one->states[s].slot != MA_COVER_NONE;
         s = one->states[s].parent) {
        ma_cover_plan_switch(core, &core->trial, one->states[s].slot);
    }
    (void) ma_cover_keep_if_better(core, &core->trial);
}

static void lay_out_states(struct one *one) {
    struct cover_core *core = one->core;
    size_t each = sizeof(struct cover_state) + 3 * sizeof(uint32_t);
    size_t room = ma_min_u64(core->pool_bytes / each, COVER_STATES_MAX);
    one->max_states = (uint32_t) room;
    one->states = (struct cover_state *) (void *) core->pool;
    one->list = (uint32_t *) (void *) (one->states + room);
    one->spare[0] = one->list + room;
    one->spare[1] = one->spare[0] + room;
    one->states[0] = (struct cover_state){
        .got = one->prefix_frees, .cost = one->prefix_cost, .slot = MA_COVER_NONE};
    one->n_states = 1;
    one->list[0] = 0;
    one->n_list = 1;
    for (size_t i = 0; i < core->alive_words; i++) {
        core->seen[i] = 0;
    }
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
        uint32_t slot = core->keys[i].slot;
        core->items[i] = (struct cover_key){.key = (uint64_t) step_frees(core, slot), .slot = slot};
    }
    one.steps = core->items;
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
