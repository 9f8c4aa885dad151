/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-repair.c - from any choice to a plan that covers, and from a plan that covers to a cheaper one.
 *
 * Repair: rounds of { score every slot by (violation removed) / (cost added), best per owner; sort; apply in that
 * order what still keeps most of its score }, until nothing is violated. One switch per round finds slightly better
 * plans and takes n times as long; the next rounds correct most of what the haste spoils.
 * Prune: what is chosen goes to a cheaper slot of the same owner, largest saving first, while the plan still covers.
 *
 * Violation is measured in shares of each row's range (2^40 units), so that no row outweighs another by its mere
 * size; shortfalls are held at 32 ranges, which keeps every sum below 2^50. */
#include "bytes.h"

#include "cover-internal.h"

#define RANGE_UNITS_BITS     40
#define SHORTFALL_RANGES_MAX 32
#define REPAIR_ROUNDS_MAX    60U
#define PRUNE_ROUNDS_MAX     4U
/* A switch applied late must keep this share of the score it had at the start of the round. Too small: bad switches
 * are taken; too large: many rounds. Guessed, 70 to 90 made no measurable difference. */
#define REPAIR_KEEP_PERCENT 80U
/* ... and be no worse than this share of the best of the round. */
#define REPAIR_BEST_PERCENT 10U

void ma_cover_repair_init(struct cover_core *core) {
    for (size_t d = 0; d < core->m; d++) {
        int64_t range = core->need[d] < 0 ? -core->need[d] : core->need[d];
        for (uint32_t s = 0; s < core->n_slots; s++) {
            int64_t frees = cover_frees(core, s)[d];
            range = ma_max_i64(range, frees < 0 ? -frees : frees);
        }
        core->range[d] = ma_max_i64(range, 1);
        core->weight[d] = (INT64_C(1) << RANGE_UNITS_BITS) / core->range[d];
    }
}

static uint64_t violation(const struct cover_core *core, const int64_t *got, const int64_t *frees) {
    uint64_t sum = 0;
    for (size_t d = 0; d < core->m; d++) {
        int64_t missing = core->need[d] - got[d] - (frees != NULL ? frees[d] : 0);
        if (missing > 0) {
            missing = ma_min_i64(missing, core->range[d] * SHORTFALL_RANGES_MAX);
            sum += (uint64_t) (missing * core->weight[d]);
        }
    }
    return sum;
}

/* The same for a slot of a pick, without going through its changes: nearly all slots are, and this is where repair
 * spends its time. */
static uint64_t
violation_with(const struct cover_core *core, const int32_t *from, const int32_t *to) {
    uint64_t sum = 0;
    for (size_t d = 0; d < core->m; d++) {
        int64_t missing = core->need[d] - core->trial.got[d] + from[d] - to[d];
        if (missing > 0) {
            missing = ma_min_i64(missing, core->range[d] * SHORTFALL_RANGES_MAX);
            sum += (uint64_t) (missing * core->weight[d]);
        }
    }
    return sum;
}

/* On a node's prices a switch costs what the bound would rise by, which says what it does to all rows; a part of the plain
 * cost tells apart what is equally good at them. Too small a part: plans that lean on bad prices; too large: plain costs,
 * whose plans were half a per cent dearer. Guessed. */
#define PLAIN_COST_DIVISOR 16

static int64_t priced_cost(const struct cover_core *core, uint32_t old, uint32_t slot) {
    int64_t raw = core->cost[slot] - core->cost[old];
    int64_t more = core->priced[slot] - core->priced[old];
    if (raw <= 0) {
        return raw;
    }
    return ma_max_i64(more, 0) + cover_scaled(core, raw) / PLAIN_COST_DIVISOR + 1;
}

/* 0: the slot does not help. What helps for nothing comes first. */
static uint64_t score(struct cover_core *core, uint32_t slot, uint64_t now, unsigned shift) {
    uint32_t owner = core->owner[slot];
    int64_t cost;
    uint64_t then;
    if ((owner & COVER_OWNER_JOINT) == 0) {
        uint32_t old = core->trial.pick_slot[owner];
        cost =
            core->uses_prices ? priced_cost(core, old, slot) : core->cost[slot] - core->cost[old];
        then = violation_with(core, cover_frees(core, old), cover_frees(core, slot));
    } else {
        int64_t frees[MA_ROWS_MAX];
        cost = ma_cover_delta(core, &core->trial, slot, frees);
        cost = core->uses_prices && cost > 0 ? cover_scaled(core, cost) : cost;
        then = violation(core, core->trial.got, frees);
    }
    core->operations += core->m;
    if (then >= now) {
        return 0;
    }
    if (cost <= 0) {
        return UINT64_MAX;
    }
    uint64_t per_cost = ((now - then) << shift) / (uint64_t) cost;
    return ma_max_u64(per_cost, 1);
}

static bool is_candidate(const struct cover_core *core, uint32_t slot) {
    uint32_t owner = core->owner[slot];
    if ((owner & COVER_OWNER_JOINT) != 0) {
        return core->trial.group_slot[owner & ~COVER_OWNER_JOINT] != slot;
    }
    const struct cover_pick *pick = &core->picks[owner];
    return core->trial.pick_slot[owner] != slot &&
           core->trial.group_slot[pick->group] == core->groups[pick->group].mode_slot;
}

static void sink(struct cover_key *heap, size_t n, size_t i) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) {
            return;
        }
        if (child + 1 < n && ma_cover_larger_key(NULL, &heap[child + 1], &heap[child])) {
            child++;
        }
        if (!ma_cover_larger_key(NULL, &heap[child], &heap[i])) {
            return;
        }
        struct cover_key t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
        i = child;
    }
}

static struct cover_key pop(struct cover_key *heap, size_t *n) {
    struct cover_key top = heap[0];
    heap[0] = heap[--*n];
    sink(heap, *n, 0);
    return top;
}

/* The best slot of each owner, as a heap: of a round's candidates only the first few are looked at. Slots of an
 * owner stand together in the list. */
static size_t
collect(struct cover_core *core, const uint32_t *slots, size_t n, uint64_t now, unsigned shift) {
    size_t k = 0;
    uint32_t last = MA_COVER_NONE;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = slots[i];
        uint64_t q = is_candidate(core, slot) ? score(core, slot, now, shift) : 0;
        if (q == 0) {
            continue;
        }
        if (k > 0 && core->owner[slot] == last) {
            if (q > core->keys[k - 1].key) {
                core->keys[k - 1] = (struct cover_key){.key = q, .slot = slot};
            }
            continue;
        }
        last = core->owner[slot];
        core->keys[k++] = (struct cover_key){.key = q, .slot = slot};
    }
    for (size_t i = k / 2; i-- > 0;) {
        sink(core->keys, k, i);
    }
    core->operations += k;
    return k;
}

static unsigned headroom(uint64_t now) {
    return now == 0 ? 0 : (unsigned) __builtin_clzll(now);
}

static size_t apply(struct cover_core *core, size_t n, uint64_t now, unsigned shift) {
    size_t applied = 0;
    uint64_t best = n > 0 ? core->keys[0].key : 0;
    while (n > 0 && now > 0) {
        struct cover_key top = pop(core->keys, &n);
        if (applied > 0 && top.key / REPAIR_BEST_PERCENT < best / 100) {
            break;
        }
        uint64_t q = is_candidate(core, top.slot) ? score(core, top.slot, now, shift) : 0;
        core->operations += 4;
        if (q == 0 || (applied > 0 && q / REPAIR_KEEP_PERCENT < top.key / 100)) {
            continue;
        }
        ma_cover_plan_switch(core, &core->trial, top.slot);
        now = violation(core, core->trial.got, NULL);
        applied++;
    }
    return applied;
}

void ma_cover_repair(struct cover_core *core, const uint32_t *slots, size_t n) {
    for (unsigned round = 0; round < REPAIR_ROUNDS_MAX; round++) {
        uint64_t now = violation(core, core->trial.got, NULL);
        unsigned shift = headroom(now);
        if (now == 0 || core->operations > core->max_operations) {
            break;
        }
        size_t k = collect(core, slots, n, now, shift);
        if (apply(core, k, now, shift) == 0) {
            break;
        }
    }
    if (ma_cover_plan_covers(core, &core->trial)) {
        ma_cover_prune(core);
        (void) ma_cover_keep_if_better(core, &core->trial);
    }
}

/* The slots first..first+n-1 that would save and still cover. */
static size_t savings(struct cover_core *core, uint32_t first, uint32_t n, size_t k) {
    int64_t frees[MA_ROWS_MAX];
    for (uint32_t slot = first; slot < first + n; slot++) {
        if (!cover_bit(core->alive, slot) || !is_candidate(core, slot)) {
            continue;
        }
        int64_t cost = ma_cover_delta(core, &core->trial, slot, frees);
        core->operations += core->m;
        if (cost < 0 && violation(core, core->trial.got, frees) == 0) {
            core->keys[k++] = (struct cover_key){.key = (uint64_t) -cost, .slot = slot};
        }
    }
    return k;
}

/* The picks that have a slot chosen, behind those of settled groups in core->chosen. */
static uint32_t list_chosen(struct cover_core *core) {
    uint32_t n = core->n_settled;
    for (uint32_t i = 0; i < core->n_open; i++) {
        const struct cover_group *group = &core->groups[core->open[i]];
        for (uint32_t p = group->first_pick; p < group->first_pick + group->n_picks; p++) {
            if (core->trial.pick_slot[p] != core->picks[p].first_slot) {
                core->chosen[n++] = p;
            }
        }
    }
    return n;
}

static size_t all_savings(struct cover_core *core, uint32_t n_chosen) {
    size_t k = 0;
    for (uint32_t i = 0; i < core->n_joint; i++) {
        const struct cover_group *group = &core->groups[core->joint[i]];
        k = savings(core, group->mode_slot, group->n_joint + 1, k);
    }
    for (uint32_t i = 0; i < n_chosen; i++) {
        const struct cover_pick *pick = &core->picks[core->chosen[i]];
        if (core->trial.pick_slot[core->chosen[i]] != pick->first_slot) {
            k = savings(core, pick->first_slot, pick->n_slots, k);
        }
    }
    core->operations += core->n_picks;
    ma_cover_sort(core, k, ma_cover_larger_key, NULL);
    return k;
}

/* No pick becomes chosen on the way: only those that are at the start can save something. */
void ma_cover_prune(struct cover_core *core) {
    int64_t frees[MA_ROWS_MAX];
    uint32_t n_chosen = list_chosen(core);
    for (unsigned round = 0; round < PRUNE_ROUNDS_MAX; round++) {
        size_t k = all_savings(core, n_chosen);
        size_t applied = 0;
        for (size_t i = 0; i < k; i++) {
            uint32_t slot = core->keys[i].slot;
            if (is_candidate(core, slot) && ma_cover_delta(core, &core->trial, slot, frees) < 0 &&
                violation(core, core->trial.got, frees) == 0) {
                ma_cover_plan_switch(core, &core->trial, slot);
                applied++;
            }
        }
        if (applied == 0) {
            break;
        }
    }
}
