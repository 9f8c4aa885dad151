/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-build.c - from the caller's arrays to the normal form, and the reductions that hold for good.
 *
 * Dominance: within a pick, a slot is of no use where another costs no more and frees no less in any row; frees
 * above cut(d) = need(d) + everything the others could consume of d count as cut(d), because such a slot meets the
 * row whatever else is chosen. The none slot dominates whatever frees nothing. Equals keep the lower index. */
#include "bytes.h"

#include "cover-internal.h"

/* More than any plan can cost: whether costs can carry the count of options in their low bits. */
static uint64_t sum_of_costs(const struct ma_cover_problem *problem) {
    uint64_t sum = 0;
    for (size_t o = 0; o < problem->n_options; o++) {
        sum += problem->options[o].cost; /* <= 2^18 * 2^40 */
    }
    return sum;
}

static unsigned shift_for(const struct ma_cover_problem *problem) {
    uint64_t most = problem->n_members + problem->n_clusters;
    unsigned bits = 1;
    while ((most >> bits) != 0) {
        bits++;
    }
    return sum_of_costs(problem) < (UINT64_C(1) << (60 - bits)) ? bits : 0;
}

static void add_nothing(struct cover_core *core, uint32_t owner) {
    uint32_t slot = core->n_slots++;
    core->cost[slot] = 0;
    core->option[slot] = MA_COVER_NONE;
    core->owner[slot] = owner;
    for (size_t d = 0; d < core->m; d++) {
        core->frees[(size_t) slot * core->m + d] = 0;
    }
}

/* No cheaper than the slot before it, of the same owner, and frees the same: a kill beside a shutdown that returns as much
 * is the rule. Such a slot is not even built; reduce would find it, after it has been looked at many times. */
static bool is_no_better(const struct cover_core *core, uint32_t slot) {
    const int32_t *before = cover_frees(core, slot - 1);
    const int32_t *frees = cover_frees(core, slot);
    bool is_same = core->cost[slot] >= core->cost[slot - 1];
    for (size_t d = 0; d < core->m && is_same; d++) {
        is_same = frees[d] == before[d];
    }
    return is_same;
}

static void add_options(struct cover_core *core, uint32_t first, uint32_t n, uint32_t owner) {
    for (uint32_t i = 0; i < n; i++) {
        const struct ma_cover_option *option = &core->problem->options[first + i];
        uint32_t slot = core->n_slots++;
        int64_t one = core->cost_shift > 0 ? 1 : 0;
        core->cost[slot] = (int64_t) (option->cost << core->cost_shift) + one;
        core->option[slot] = first + i;
        core->owner[slot] = owner;
        for (size_t d = 0; d < core->m; d++) {
            core->frees[(size_t) slot * core->m + d] = (int32_t) option->frees_mib[core->row[d]];
        }
        if (i > 0 && is_no_better(core, slot)) {
            core->n_slots--;
        }
    }
}

static void add_group(struct cover_core *core, uint32_t k) {
    const struct ma_cover_cluster *cluster = &core->problem->clusters[k];
    struct cover_group *group = &core->groups[k];
    group->first_pick = cluster->first_member;
    group->n_picks = cluster->n_members;
    group->mode_slot = core->n_slots;
    add_nothing(core, k | COVER_OWNER_JOINT);
    add_options(core, cluster->first_joint_option, cluster->n_joint_options, k | COVER_OWNER_JOINT);
    group->n_joint = core->n_slots - group->mode_slot - 1;
    if (group->n_joint > 0) {
        core->joint[core->n_joint++] = k;
    }
    for (uint32_t i = 0; i < group->n_picks; i++) {
        uint32_t at = group->first_pick + i;
        const struct ma_cover_member *member = &core->problem->members[at];
        core->picks[at].first_slot = core->n_slots;
        core->picks[at].group = k;
        add_nothing(core, at);
        add_options(core, member->first_option, member->n_options, at);
        core->picks[at].n_slots = core->n_slots - core->picks[at].first_slot;
    }
}

void ma_cover_all_alive(struct cover_core *core) {
    for (size_t i = 0; i < core->alive_words; i++) {
        core->alive[i] = 0;
    }
    for (uint32_t s = 0; s < core->n_slots; s++) {
        cover_bit_set(core->alive, s);
    }
}

void ma_cover_build(struct cover_core *core) {
    core->cost_shift = shift_for(core->problem);
    core->idle_cost = 0;
    core->n_slots = 0;
    core->n_joint = 0;
    for (uint32_t k = 0; k < core->n_groups; k++) {
        add_group(core, k);
    }
    ma_cover_all_open(core);
    core->operations += (uint64_t) core->n_slots * (core->m + 1);
    ma_cover_all_alive(core);
}

/* cut(d), see the head of the file. The sum of the least frees of all slots is a safe bound on what may be
 * consumed, if a coarse one: reductions need to be right, not complete. */
static void find_cuts(const struct cover_core *core, int64_t *cut) {
    for (size_t d = 0; d < core->m; d++) {
        cut[d] = core->need[d];
    }
    for (uint32_t s = 0; s < core->n_slots; s++) {
        for (size_t d = 0; d < core->m; d++) {
            cut[d] -= ma_min_i64(0, cover_frees(core, s)[d]);
        }
    }
}

static bool
dominates(const struct cover_core *core, const int64_t *cut, uint32_t better, uint32_t worse) {
    if (core->cost[better] > core->cost[worse]) {
        return false;
    }
    const int32_t *b = cover_frees(core, better);
    const int32_t *w = cover_frees(core, worse);
    bool is_equal = core->cost[better] == core->cost[worse];
    for (size_t d = 0; d < core->m; d++) {
        if (b[d] < w[d] && b[d] < cut[d]) {
            return false;
        }
        is_equal &= b[d] == w[d] || (b[d] >= cut[d] && w[d] >= cut[d]);
    }
    return !is_equal || better < worse;
}

static void reduce_range(struct cover_core *core, const int64_t *cut, uint32_t first, uint32_t n) {
    for (uint32_t worse = first + 1; worse < first + n; worse++) {
        for (uint32_t better = first; better < first + n; better++) {
            if (better != worse && cover_bit(core->alive, better) &&
                dominates(core, cut, better, worse)) {
                cover_bit_clear(core->alive, worse);
                break;
            }
        }
    }
    core->operations += (uint64_t) n * n * 2;
}

/* Joint slots are compared only among each other and, where all members are idle, with nothing: the mode slot
 * stands for its members, so it dominates a joint slot exactly as an idle pick would. */
void ma_cover_reduce(struct cover_core *core) {
    int64_t cut[MA_ROWS_MAX];
    find_cuts(core, cut);
    for (uint32_t k = 0; k < core->n_groups; k++) {
        const struct cover_group *group = &core->groups[k];
        reduce_range(core, cut, group->mode_slot, group->n_joint + 1);
        for (uint32_t i = 0; i < group->n_picks; i++) {
            const struct cover_pick *pick = &core->picks[group->first_pick + i];
            reduce_range(core, cut, pick->first_slot, pick->n_slots);
        }
    }
}
