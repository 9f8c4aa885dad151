/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-swap.c - small exchanges on a plan that covers.
 *
 * ma_cover_swap: one chosen slot goes to something cheaper while one other owner gives what is then missing; the
 * best such exchange is made until there is none or the steps are used up. On a plan that is not proven it finds what repair's
 * order overlooks.
 *
 * ma_cover_settle_ties: among plans of the same cost and number of options the one with lower indices. Exchanging
 * equals one by one reaches a plan that no single exchange improves; the lexicographic least of all optima would
 * be another search, for an order that only says which of two identical guests it is. */
#include "bytes.h"

#include "cover-internal.h"

#define KEY_ZERO                                                                                   \
    (INT64_C(1)                                                                                    \
     << 62) /* keys sort largest first; this less the change of cost sorts cheapest first */

struct exchange {
    int64_t change; /* of cost; < 0 */
    uint32_t first;
    uint32_t second;
};

static bool covers_with(const struct cover_core *core, const int64_t *a, const int64_t *b) {
    for (size_t d = 0; d < core->m; d++) {
        if (core->best.got[d] + a[d] + b[d] < core->need[d]) {
            return false;
        }
    }
    return true;
}

static bool is_open(const struct cover_core *core, uint32_t slot) {
    uint32_t owner = core->owner[slot];
    if ((owner & COVER_OWNER_JOINT) != 0) {
        return core->best.group_slot[owner & ~COVER_OWNER_JOINT] != slot;
    }
    uint32_t k = core->picks[owner].group;
    return core->best.pick_slot[owner] != slot &&
           core->best.group_slot[k] == core->groups[k].mode_slot;
}

static uint32_t group_of(const struct cover_core *core, uint32_t slot) {
    uint32_t owner = core->owner[slot];
    return (owner & COVER_OWNER_JOINT) != 0 ? owner & ~COVER_OWNER_JOINT : core->picks[owner].group;
}

static int64_t change_of(const struct cover_core *core, size_t at) {
    return KEY_ZERO - (int64_t) core->keys[at].key;
}

/* Every change of one slot, cheapest first, in core->keys. */
static size_t list_changes(struct cover_core *core) {
    int64_t frees[MA_ROWS_MAX];
    size_t n = 0;
    for (uint32_t s = 0; s < core->n_slots; s++) {
        if (cover_bit(core->alive, s) && is_open(core, s)) {
            int64_t change = ma_cover_delta(core, &core->best, s, frees);
            core->keys[n++] = (struct cover_key){.key = (uint64_t) (KEY_ZERO - change), .slot = s};
        }
    }
    core->operations += 2 * (uint64_t) core->n_slots;
    ma_cover_sort(core, n, ma_cover_larger_key, NULL);
    return n;
}

/* The cheapest change that goes with change i. Two slots of one group are left alone: their changes do not add. */
static void find_partner(struct cover_core *core, size_t n, size_t i, struct exchange *best) {
    int64_t given[MA_ROWS_MAX];
    int64_t taken[MA_ROWS_MAX];
    uint32_t slot = core->keys[i].slot;
    int64_t change = ma_cover_delta(core, &core->best, slot, given);
    for (size_t j = 0; j < n; j++) {
        uint32_t other = core->keys[j].slot;
        if (change + change_of(core, j) >= best->change) {
            break;
        }
        core->operations += core->m / 2 + 1;
        if (group_of(core, other) == group_of(core, slot)) {
            continue;
        }
        (void) ma_cover_delta(core, &core->best, other, taken);
        if (covers_with(core, given, taken)) {
            *best = (struct exchange){
                .change = change + change_of(core, j), .first = slot, .second = other};
            break;
        }
    }
}

void ma_cover_swap(struct cover_core *core, uint64_t max_steps) {
    uint64_t until = ma_min_u64(core->operations + max_steps, core->max_operations);
    while (core->operations < until) {
        struct exchange best = {.change = 0};
        size_t n = list_changes(core);
        for (size_t i = 0; i < n && change_of(core, i) < 0 && core->operations < until; i++) {
            find_partner(core, n, i, &best);
        }
        if (best.change == 0) {
            break;
        }
        ma_cover_plan_switch(core, &core->best, best.first);
        ma_cover_plan_switch(core, &core->best, best.second);
    }
}

static uint32_t none_of(const struct cover_core *core, uint32_t slot) {
    uint32_t owner = core->owner[slot];
    return (owner & COVER_OWNER_JOINT) != 0 ? core->groups[owner & ~COVER_OWNER_JOINT].mode_slot
                                            : core->picks[owner].first_slot;
}

/* The first slot below `slot` of the n listed that can stand in for it at the same cost, or MA_COVER_NONE. */
static uint32_t find_equal(struct cover_core *core, size_t n, uint32_t slot, const int64_t *given) {
    int64_t taken[MA_ROWS_MAX];
    for (size_t i = 0; i < n && core->slots[i] < slot; i++) {
        uint32_t s = core->slots[i];
        core->operations++;
        if (core->cost[s] == core->cost[slot] && group_of(core, s) != group_of(core, slot) &&
            is_open(core, s) && ma_cover_delta(core, &core->best, s, taken) == core->cost[slot] &&
            covers_with(core, given, taken)) {
            return s;
        }
    }
    return MA_COVER_NONE;
}

static bool is_chosen(const struct cover_core *core, uint32_t slot) {
    return core->option[slot] != MA_COVER_NONE && !is_open(core, slot) &&
           ((core->owner[slot] & COVER_OWNER_JOINT) != 0 ||
            core->best.pick_slot[core->owner[slot]] == slot);
}

/* One of 4096 classes. */
static uint32_t class_of(int64_t cost) {
    return (uint32_t) (((uint64_t) cost * UINT64_C(0x9e3779b97f4a7c15)) >> 52);
}

/* The chosen slots and all that cost the same (and by chance a few others), in core->slots, ascending. */
static size_t list_equals(struct cover_core *core) {
    uint64_t classes[64] = {0};
    size_t n = 0;
    for (uint32_t k = 0; k < core->n_groups; k++) {
        if (core->option[core->best.group_slot[k]] != MA_COVER_NONE) {
            cover_bit_set(classes, class_of(core->cost[core->best.group_slot[k]]));
        }
    }
    for (uint32_t p = 0; p < core->n_picks; p++) {
        if (core->option[core->best.pick_slot[p]] != MA_COVER_NONE) {
            cover_bit_set(classes, class_of(core->cost[core->best.pick_slot[p]]));
        }
    }
    for (uint32_t s = 0; s < core->n_slots; s++) {
        if (cover_bit(classes, class_of(core->cost[s])) && core->option[s] != MA_COVER_NONE) {
            core->slots[n++] = s;
        }
    }
    core->operations += 2 * (uint64_t) core->n_slots;
    return n;
}

void ma_cover_settle_ties(struct cover_core *core, uint64_t max_steps) {
    uint64_t until = core->operations + max_steps;
    int64_t given[MA_ROWS_MAX];
    size_t n = list_equals(core);
    for (size_t i = n; i-- > 0 && core->operations < until;) {
        uint32_t s = core->slots[i];
        if (!is_chosen(core, s)) {
            continue;
        }
        (void) ma_cover_delta(core, &core->best, none_of(core, s), given);
        uint32_t equal = find_equal(core, n, s, given);
        if (equal != MA_COVER_NONE) {
            ma_cover_plan_switch(core, &core->best, none_of(core, s));
            ma_cover_plan_switch(core, &core->best, equal);
        }
    }
}
