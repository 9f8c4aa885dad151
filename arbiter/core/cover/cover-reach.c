/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-reach.c - demands that cannot be met together.
 *
 * Each demand may be reachable alone and not with the others: what frees the most RAM consumes swap that another
 * row forbids, or a guest's two options serve one row each. Then needs are lowered row by row, in the order of the
 * rows (the caller puts what matters most first):
 *
 *   need(d) := min(need(d), the most of d that can be freed while the rows without demand hold
 *                           and every earlier row has its need, and no row with a demand is made worse)
 *
 * "The most" is the same kind of problem with regret for cost (what a slot frees less than the best of its owner),
 * so the same search solves it. Where its budget ends early the plan in hand counts: the need is then something
 * that is reachable for certain, if perhaps not the most. Choosing nothing always holds the rows without demand,
 * hence there is always a plan to start from. */
#include "bytes.h"

#include "cover-internal.h"

/* Share of the whole budget for all rows together. Too small: demands are given up that could be met; too large:
 * nothing is left for the cost. Guessed. */
#define REACH_BUDGET_DIVISOR 2U

static int64_t most_of(const struct cover_core *core, uint32_t first, uint32_t n, size_t d) {
    int64_t most = INT64_MIN;
    for (uint32_t s = first; s < first + n; s++) {
        most = ma_max_i64(most, cover_frees(core, s)[d]);
    }
    return most;
}

static void regret_range(struct cover_core *core, uint32_t first, uint32_t n, size_t d) {
    int64_t most = most_of(core, first, n, d);
    for (uint32_t s = first; s < first + n; s++) {
        core->cost[s] = most - cover_frees(core, s)[d];
    }
}

/* Regret of every slot for row d; of joint slots against the members' best together. */
static void set_regrets(struct cover_core *core, size_t d) {
    for (uint32_t k = 0; k < core->n_groups; k++) {
        const struct cover_group *group = &core->groups[k];
        int64_t members = 0;
        for (uint32_t i = 0; i < group->n_picks; i++) {
            const struct cover_pick *pick = &core->picks[group->first_pick + i];
            members += most_of(core, pick->first_slot, pick->n_slots, d);
            regret_range(core, pick->first_slot, pick->n_slots, d);
        }
        int64_t best = ma_max_i64(members, most_of(core, group->mode_slot, group->n_joint + 1, d));
        for (uint32_t s = group->mode_slot; s <= group->mode_slot + group->n_joint; s++) {
            int64_t frees = s == group->mode_slot ? members : cover_frees(core, s)[d];
            core->cost[s] = best - frees;
        }
    }
    ma_cover_plan_sum_idle(core);
}

/* The most of row d, with the needs that stand; the best plan is the start. */
static void push_row(struct cover_core *core, size_t d, int64_t wanted) {
    set_regrets(core, d);
    ma_cover_all_alive(core);
    ma_cover_plan_sum(core, &core->best);
    if (core->best.got[d] < wanted) {
        core->lower = 0;
        ma_cover_repair_init(core);
        ma_cover_branch(core);
    }
    core->need[d] = ma_min_i64(wanted, core->best.got[d]);
}

static void use_cost(struct cover_core *core) {
    for (uint32_t s = 0; s < core->n_slots; s++) {
        int64_t t = core->cost[s];
        core->cost[s] = core->regret[s];
        core->regret[s] = t;
    }
    ma_cover_plan_sum_idle(core);
}

void ma_cover_reach(struct cover_core *core) {
    int64_t wanted[MA_ROWS_MAX];
    uint64_t all_operations = core->max_operations;
    uint32_t all_nodes = core->max_nodes;
    for (uint32_t s = 0; s < core->n_slots; s++) {
        core->regret[s] = core->cost[s];
    }
    for (size_t d = 0; d < core->m; d++) {
        wanted[d] = core->need[d];
        core->need[d] = core->is_soft[d] ? 0 : core->need[d];
    }
    ma_cover_plan_clear(core, &core->best);
    for (size_t d = 0; d < core->m; d++) {
        uint64_t share = all_operations / REACH_BUDGET_DIVISOR / core->m;
        core->max_operations = core->operations + share;
        core->max_nodes = core->nodes + all_nodes;
        if (core->is_soft[d]) {
            push_row(core, d, wanted[d]);
        }
    }
    core->max_operations = core->operations + all_operations / REACH_BUDGET_DIVISOR;
    core->max_nodes = core->nodes + all_nodes;
    use_cost(core);
    ma_cover_plan_sum(core, &core->best);
    core->lower = 0;
}
