/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-local.c - what is left of the problem at a node of the search.
 *
 * The node's set says which slots are still allowed. Picks with one allowed slot are fixed and counted in base and
 * residual; rows that hold whatever the rest does are dropped; a row that the rest cannot reach ends the node.
 *
 * Residual truncation. Let N(d) be the most that the rest could consume of row d. A slot that frees more than
 * residual(d) + N(d) meets the row by itself, so its frees are cut there. The set of plans is the same, the bound
 * much closer: one large guest can exceed the whole deficit, and the plain linear relaxation would let a
 * hundredth of it do the work (measured: bounds 4 to 25 % below the optimum without, 0.1 % with).
 *
 * A group whose mode is open keeps all its picks, fixed ones too, because they count only if the members decide. */
#include "bytes.h"

#include "cover-internal.h"

/* Forbidding slots can make others impossible; what the last pass forbids is left to the next node. */
#define PASSES_MAX 4U

enum listing {
    LISTING_DONE,
    LISTING_CHANGED, /* slots were forbidden: list again */
    LISTING_EMPTY,
};

/* 0, 1, or more than 1 of the slots from first are allowed; *only is one of them. */
static uint32_t count_alive(const uint64_t *alive, uint32_t first, uint32_t n, uint32_t *only) {
    uint32_t count = 0;
    if (n <= 64) {
        uint64_t bits = cover_bits(alive, first, n);
        *only = bits != 0 ? first + (uint32_t) __builtin_ctzll(bits) : first;
        return bits == 0 ? 0 : (bits & (bits - 1)) == 0 ? 1 : 2;
    }
    for (uint32_t s = first; s < first + n; s++) {
        if (cover_bit(alive, s)) {
            *only = s;
            count++;
        }
    }
    return count;
}

static void fix_slot(struct cover_core *core, uint32_t slot) {
    struct cover_local *local = &core->local;
    const int32_t *frees = cover_frees(core, slot);
    local->base += core->cost[slot];
    for (size_t d = 0; d < core->m; d++) {
        local->residual[d] -= frees[d];
    }
}

static void list_slots(struct cover_core *core, const uint64_t *alive, uint32_t first, uint32_t n) {
    struct cover_local *local = &core->local;
    for (uint32_t s = first; s < first + n; s++) {
        if (cover_bit(alive, s)) {
            local->cost[local->n_slots] = cover_scaled(core, core->cost[s]);
            local->slot[local->n_slots++] = s;
        }
    }
}

static void list_pick(struct cover_core *core, const uint64_t *alive, uint32_t p) {
    struct cover_local *local = &core->local;
    const struct cover_pick *pick = &core->picks[p];
    struct cover_local_pick *to = &local->picks[local->n_picks++];
    to->first = local->n_slots;
    to->pick = p;
    list_slots(core, alive, pick->first_slot, pick->n_slots);
    to->n = local->n_slots - to->first;
}

/* false: the members of this group cannot decide, some pick has no slot left. */
static bool
list_members(struct cover_core *core, const uint64_t *alive, uint32_t k, bool is_decided) {
    struct cover_local *local = &core->local;
    const struct cover_group *group = &core->groups[k];
    for (uint32_t i = 0; i < group->n_picks; i++) {
        uint32_t p = group->first_pick + i;
        uint32_t only = 0;
        uint32_t n = count_alive(alive, core->picks[p].first_slot, core->picks[p].n_slots, &only);
        if (n == 0) {
            return false;
        }
        if (n == 1 && is_decided) {
            if (core->option[only] != MA_COVER_NONE || core->cost[only] != 0) {
                fix_slot(core, only);
            }
            continue;
        }
        list_pick(core, alive, p);
        if (is_decided) {
            local->groups[local->n_groups++] = (struct cover_local_group){
                .first_pick = local->n_picks - 1, .n_picks = 1, .group = k, .may_be_members = true};
        }
    }
    return true;
}

static void list_open_group(struct cover_core *core, uint64_t *alive, uint32_t k) {
    struct cover_local *local = &core->local;
    const struct cover_group *group = &core->groups[k];
    struct cover_local_group g = {.first_pick = local->n_picks, .group = k};
    uint32_t slots = local->n_slots;
    g.may_be_members = cover_bit(alive, group->mode_slot);
    if (g.may_be_members && !list_members(core, alive, k, false)) {
        cover_bit_clear(alive, group->mode_slot);
        local->n_picks = g.first_pick;
        local->n_slots = slots;
        g.may_be_members = false;
    }
    g.mode_cost = g.may_be_members ? cover_scaled(core, core->cost[group->mode_slot]) : 0;
    g.n_picks = local->n_picks - g.first_pick;
    g.first_joint = local->n_slots;
    list_slots(core, alive, group->mode_slot + 1, group->n_joint);
    g.n_joint = local->n_slots - g.first_joint;
    local->groups[local->n_groups++] = g;
}

static bool list_group(struct cover_core *core, uint64_t *alive, uint32_t k) {
    const struct cover_group *group = &core->groups[k];
    uint32_t only = 0;
    uint32_t n = count_alive(alive, group->mode_slot, group->n_joint + 1, &only);
    if (n > 1) {
        list_open_group(core, alive, k);
        return true;
    }
    if (n == 0) {
        return false;
    }
    fix_slot(core, only);
    return only != group->mode_slot || list_members(core, alive, k, true);
}

struct reach {
    int64_t most;
    int64_t least;
    int64_t consumed; /* <= 0: sum of what each slot's company could take away */
    int64_t spread;   /* largest difference between two slots of one owner */
};

static void widen(const struct cover_core *core, size_t d, uint32_t slot, struct reach *reach) {
    int64_t f = core->local.frees[d * core->max_slots + slot];
    reach->most = ma_max_i64(reach->most, f);
    reach->least = ma_min_i64(reach->least, f);
}

/* A pick does the most, or the least, whatever the others do. */
static void add_pick(const int32_t *frees, const struct cover_local_pick *pick, struct reach *all) {
    int32_t most = frees[pick->first];
    int32_t least = most;
    for (uint32_t s = pick->first + 1; s < pick->first + pick->n; s++) {
        most = frees[s] > most ? frees[s] : most;
        least = frees[s] < least ? frees[s] : least;
    }
    all->most += most;
    all->least += least;
    all->consumed += least < 0 ? least : 0;
    all->spread = ma_max_i64(all->spread, (int64_t) most - least);
}

static struct reach
of_group(const struct cover_core *core, size_t d, const struct cover_local_group *group) {
    const struct cover_local *local = &core->local;
    struct reach sum = {.most = 0, .least = 0, .consumed = 0};
    for (uint32_t i = group->first_pick; i < group->first_pick + group->n_picks; i++) {
        add_pick(local->frees + d * core->max_slots, &local->picks[i], &sum);
    }
    if (!group->may_be_members) {
        sum.most = INT64_MIN;
        sum.least = INT64_MAX;
    }
    for (uint32_t s = group->first_joint; s < group->first_joint + group->n_joint; s++) {
        widen(core, d, s, &sum);
        sum.consumed = ma_min_i64(sum.consumed, sum.least);
    }
    return sum;
}

/* Most and least that the listed slots can do for row d. */
static struct reach of_row(const struct cover_core *core, size_t d) {
    const int32_t *frees = core->local.frees + d * core->max_slots;
    struct reach all = {.most = 0, .least = 0, .consumed = 0};
    for (uint32_t g = 0; g < core->local.n_groups; g++) {
        const struct cover_local_group *group = &core->local.groups[g];
        struct reach r;
        if (group->n_joint == 0 && group->n_picks == 1) { /* nearly all */
            add_pick(frees, &core->local.picks[group->first_pick], &all);
            continue;
        }
        r = of_group(core, d, group);
        all.most += r.most;
        all.least += r.least;
        all.consumed += r.consumed;
        all.spread = ma_max_i64(all.spread, r.spread);
    }
    return all;
}

/* A slot that leaves the row short even where everybody else does the most for it is in no plan. Large consumers of
 * swap go this way where swap is short. Picks of open groups are left alone: they may be idle. */
static bool forbid_short(struct cover_core *core, size_t d, int64_t room, uint64_t *alive) {
    const struct cover_local *local = &core->local;
    const int32_t *frees = local->frees + d * core->max_slots;
    bool changed = false;
    for (uint32_t g = 0; g < local->n_groups; g++) {
        if (local->groups[g].n_joint > 0) {
            continue;
        }
        const struct cover_local_pick *pick = &local->picks[local->groups[g].first_pick];
        int64_t most = INT64_MIN;
        for (uint32_t s = pick->first; s < pick->first + pick->n; s++) {
            most = ma_max_i64(most, frees[s]);
        }
        for (uint32_t s = pick->first; s < pick->first + pick->n; s++) {
            if (most - frees[s] > room) {
                cover_bit_clear(alive, local->slot[s]);
                changed = true;
            }
        }
    }
    core->operations += local->n_slots;
    return changed;
}

static void fill_row(struct cover_core *core, size_t d, int64_t cut) {
    struct cover_local *local = &core->local;
    const int32_t *from = local->frees + d * core->max_slots;
    int32_t *to = local->frees + local->m * core->max_slots;
    int64_t largest = 1;
    for (uint32_t s = 0; s < local->n_slots; s++) {
        int64_t f = ma_min_i64(from[s], cut);
        to[s] = (int32_t) f;
        largest = ma_max_i64(largest, f < 0 ? -f : f);
    }
    local->row[local->m] = (uint8_t) d;
    local->residual[local->m] = local->residual[d];
    local->frees_max[local->m] = largest;
    local->m++;
}

/* From the core's order by slot to one by row. */
static void gather(struct cover_core *core) {
    struct cover_local *local = &core->local;
    for (uint32_t s = 0; s < local->n_slots; s++) {
        const int32_t *from = cover_frees(core, local->slot[s]);
        for (size_t d = 0; d < core->m; d++) {
            local->frees[d * core->max_slots + s] = from[d];
        }
    }
}

/* Rows move down in place: residual[m] is written only after residual[d], d >= m, was read. */
static enum listing fill_rows(struct cover_core *core, uint64_t *alive) {
    struct cover_local *local = &core->local;
    bool changed = false;
    local->m = 0;
    gather(core);
    for (size_t d = 0; d < core->m; d++) {
        struct reach reach = of_row(core, d);
        core->operations += local->n_slots;
        int64_t room = reach.most - local->residual[d];
        if (room < 0) {
            return LISTING_EMPTY;
        }
        if (reach.spread > room) {
            changed |= forbid_short(core, d, room, alive);
        }
        if (reach.least < local->residual[d]) {
            fill_row(core, d, local->residual[d] - reach.consumed);
            core->operations += local->n_slots;
        }
    }
    return changed ? LISTING_CHANGED : LISTING_DONE;
}

static void settle_nothing(struct cover_core *core) {
    core->n_open = 0;
    core->n_settled = 0;
    core->settled_cost = 0;
    for (size_t d = 0; d < core->m; d++) {
        core->settled_frees[d] = 0;
    }
}

void ma_cover_all_open(struct cover_core *core) {
    settle_nothing(core);
    core->n_open = core->n_groups;
    for (uint32_t k = 0; k < core->n_groups; k++) {
        core->open[k] = k;
    }
}

static void settle_slot(struct cover_core *core, uint32_t slot) {
    core->settled_cost += core->cost[slot];
    for (size_t d = 0; d < core->m; d++) {
        core->settled_frees[d] += cover_frees(core, slot)[d];
    }
}

/* Its one mode and, where the members decide, the one slot of each; false: something is left to decide. */
static bool is_settled(const struct cover_core *core, const uint64_t *alive, uint32_t k) {
    const struct cover_group *group = &core->groups[k];
    uint32_t only = 0;
    bool is_one = count_alive(alive, group->mode_slot, group->n_joint + 1, &only) == 1;
    for (uint32_t i = 0; is_one && only == group->mode_slot && i < group->n_picks; i++) {
        const struct cover_pick *pick = &core->picks[group->first_pick + i];
        uint32_t slot;
        is_one = count_alive(alive, pick->first_slot, pick->n_slots, &slot) == 1;
    }
    return is_one;
}

static void settle_group(struct cover_core *core, const uint64_t *alive, uint32_t k) {
    const struct cover_group *group = &core->groups[k];
    uint32_t only = 0;
    (void) count_alive(alive, group->mode_slot, group->n_joint + 1, &only);
    settle_slot(core, only);
    core->settled.group_slot[k] = only;
    for (uint32_t i = 0; i < group->n_picks; i++) {
        uint32_t p = group->first_pick + i;
        uint32_t slot = core->picks[p].first_slot;
        if (only == group->mode_slot) {
            (void) count_alive(alive, slot, core->picks[p].n_slots, &slot);
            settle_slot(core, slot);
        }
        core->settled.pick_slot[p] = slot;
        if (slot != core->picks[p].first_slot) {
            core->chosen[core->n_settled++] = p;
        }
    }
}

void ma_cover_find_open(struct cover_core *core, const uint64_t *alive) {
    settle_nothing(core);
    for (uint32_t k = 0; k < core->n_groups; k++) {
        if (is_settled(core, alive, k)) {
            settle_group(core, alive, k);
        } else {
            core->open[core->n_open++] = k;
        }
    }
    core->operations += core->n_slots / 4;
}

static bool list_all(struct cover_core *core, uint64_t *alive) {
    struct cover_local *local = &core->local;
    local->base = core->settled_cost;
    local->n_groups = 0;
    local->n_picks = 0;
    local->n_slots = 0;
    for (size_t d = 0; d < core->m; d++) {
        local->residual[d] = core->need[d] - core->settled_frees[d];
    }
    for (uint32_t i = 0; i < core->n_open; i++) {
        if (!list_group(core, alive, core->open[i])) {
            return false;
        }
    }
    core->operations += core->n_slots / 4;
    return local->base < core->best.cost;
}

bool ma_cover_localise(struct cover_core *core, uint64_t *alive) {
    enum listing listing = LISTING_CHANGED;
    for (unsigned pass = 0; pass < PASSES_MAX && listing == LISTING_CHANGED; pass++) {
        listing = list_all(core, alive) ? fill_rows(core, alive) : LISTING_EMPTY;
    }
    return listing != LISTING_EMPTY;
}
