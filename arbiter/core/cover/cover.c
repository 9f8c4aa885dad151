/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover.c - the planner's kernel: from a problem to a plan with a certificate.
 *
 * Model. See cover.h: a multiple-choice covering problem with several rows, some of which options may consume. It is
 * NP-hard with one row already, and yet the plans that matter are found exactly, because real needs are met by a
 * few victims out of many. Road of a problem:
 *
 *   cover-check.c    refuse what is out of bounds
 *   cover-rows.c     needs, what is out of reach row by row, rows that cannot bind
 *   cover-build.c    normal form; dominated options out
 *   cover-one.c      one row: exact by dynamic programming around the break step
 *   cover-branch.c   everything else: best-first branch and bound; cover-local.c, cover-price.c, cover-line.c: its bounds;
 *                    cover-repair.c, cover-swap.c: plans that cover
 *   cover-reach.c    needs that cannot be met together
 *
 * Invariants, checked by tests/property:
 *   I1  the plan returned covers demand - uncovered in every row, and keeps the slack of rows without demand
 *   I2  lower_bound <= the least cost of any such plan <= total_cost; is_optimal only if they are equal
 *   I3  the same problem and limits give the same bytes, with any compiler and at any optimisation
 *   I4  no more than about limits->max_operations elementary steps are made (half as many again where demands
 *       cannot be met together), the loop in hand finished
 *
 * Rejected: greedy by ratio (twice the optimum on average, fifty times at worst), a linear-programming library
 * (floating point, allocation), time limits (a replay must decide as the original did). */
#include <errno.h>

#include "bytes.h"
#include "cover-internal.h"

#define ALIGNMENT 16U
/* Exchanges tried on the last plan, and for ties, in elementary steps: together well below a millisecond. On the first plan
 * they took an eighth of the time of 100 guests, and found nothing that pricing does not (measured). */
#define SWAP_STEPS_MAX 100000U
#define TIES_STEPS_MAX 200000U
/* A gap above this part of the cost is worth a search besides. Too small: milliseconds for what nobody notices; too large:
 * certificates worth little. A little less than what is asked for. */
#define ONE_ROW_GAP_DIVISOR 250

size_t
ma_cover_workspace_size(size_t n_clusters, size_t n_members, size_t n_options, size_t n_rows) {
    struct cover_core core = {.problem = NULL};
    struct ma_cover_problem shape = {
        .n_rows = n_rows, .n_clusters = n_clusters, .n_members = n_members, .n_options = n_options};
    if (n_rows < 1 || n_rows > MA_ROWS_MAX || n_clusters > MA_GUESTS_MAX ||
        n_members > MA_GUESTS_MAX || n_options > COVER_OPTIONS_MAX) {
        return SIZE_MAX;
    }
    return ma_cover_carve(&core, &shape, NULL);
}

/* The slots that a plan may use, without none and mode slots. */
static size_t list_alive(struct cover_core *core) {
    size_t n = 0;
    for (uint32_t s = 0; s < core->n_slots; s++) {
        if (cover_bit(core->alive, s) && core->option[s] != MA_COVER_NONE) {
            core->slots[n++] = s;
        }
    }
    return n;
}

/* For each owner the slot that frees the most, measured by the rows' ranges, among those that consume nothing: where
 * ending a guest consumes nothing, this covers whatever can be covered. */
static void choose_most(struct cover_core *core) {
    ma_cover_plan_clear(core, &core->trial);
    for (uint32_t s = 0; s < core->n_slots; s++) {
        int64_t frees[MA_ROWS_MAX];
        int64_t sum = 0;
        bool consumes = false;
        uint32_t owner = core->owner[s];
        bool is_joint = (owner & COVER_OWNER_JOINT) != 0;
        uint32_t k = is_joint ? owner & ~COVER_OWNER_JOINT : core->picks[owner].group;
        bool is_shut = !is_joint && core->trial.group_slot[k] != core->groups[k].mode_slot;
        if (is_shut || core->option[s] == MA_COVER_NONE) {
            continue;
        }
        (void) ma_cover_delta(core, &core->trial, s, frees);
        for (size_t d = 0; d < core->m; d++) {
            consumes |= cover_frees(core, s)[d] < 0;
            sum += frees[d] * core->weight[d] / 16;
        }
        if (!consumes && sum > 0) {
            ma_cover_plan_switch(core, &core->trial, s);
        }
    }
}

static void first_plans(struct cover_core *core) {
    size_t n = list_alive(core);
    ma_cover_repair_init(core);
    ma_cover_plan_clear(core, &core->trial);
    ma_cover_repair(core, core->slots, n);
    if (core->best.cost == COVER_ABSENT) {
        choose_most(core);
        ma_cover_repair(core, core->slots, n);
    }
}

/* The plan that showed what can be reached was chosen for that, whatever it costs. */
static void prune_best(struct cover_core *core) {
    ma_cover_plan_copy(core, &core->best, &core->trial);
    ma_cover_prune(core);
    (void) ma_cover_keep_if_better(core, &core->trial);
}

static void search(struct cover_core *core) {
    first_plans(core);
    ma_cover_branch(core);
    if (core->best.cost == COVER_ABSENT) {
        ma_cover_reach(core);
        ma_cover_all_alive(core);
        ma_cover_reduce(core);
        prune_best(core);
        first_plans(core);
        ma_cover_branch(core);
    }
    if (core->lower < core->best.cost) {
        ma_cover_all_alive(core);
        ma_cover_reduce(core);
        ma_cover_swap(core, SWAP_STEPS_MAX);
    }
}

static void solve(struct cover_core *core) {
    core->best.cost = COVER_ABSENT;
    ma_cover_plan_clear(core, &core->trial);
    if (ma_cover_keep_if_better(core, &core->trial)) {
        return; /* nothing is short */
    }
    ma_cover_reduce(core);
    bool is_solved = ma_cover_one(core);
    if (is_solved && core->lower < core->best.cost) {
        ma_cover_swap(core, SWAP_STEPS_MAX);
    }
    /* Where the dynamic program ran out of states, bounds of another kind are often closer. */
    if (!is_solved || core->best.cost - core->lower > core->best.cost / ONE_ROW_GAP_DIVISOR) {
        search(core);
    }
    ma_cover_all_alive(core);
    ma_cover_settle_ties(core, TIES_STEPS_MAX);
}

static void report_choice(const struct cover_core *core, struct ma_cover_result *result) {
    result->total_cost = 0;
    for (uint32_t k = 0; k < core->n_groups; k++) {
        uint32_t option = core->option[core->best.group_slot[k]];
        result->cluster_choice[k] = option;
        result->total_cost += option != MA_COVER_NONE ? core->problem->options[option].cost : 0;
    }
    for (uint32_t p = 0; p < core->n_picks; p++) {
        uint32_t option = core->option[core->best.pick_slot[p]];
        result->member_choice[p] = option;
        result->total_cost += option != MA_COVER_NONE ? core->problem->options[option].cost : 0;
    }
}

static int64_t net_of_row(const struct cover_core *core, size_t row) {
    int64_t net = 0;
    for (uint32_t k = 0; k < core->n_groups; k++) {
        uint32_t option = core->option[core->best.group_slot[k]];
        net += option != MA_COVER_NONE ? core->problem->options[option].frees_mib[row] : 0;
    }
    for (uint32_t p = 0; p < core->n_picks; p++) {
        uint32_t option = core->option[core->best.pick_slot[p]];
        net += option != MA_COVER_NONE ? core->problem->options[option].frees_mib[row] : 0;
    }
    return net;
}

/* What the plan leaves short, of needs that were lowered and of rows that one of these had implied alike. A plan may free more than
 * the need it was made for: that much is covered. */
static void report_uncovered(const struct cover_core *core, struct ma_cover_result *result) {
    result->has_uncovered = false;
    for (size_t row = 0; row < core->problem->n_rows; row++) {
        int64_t demand = core->problem->demand_mib[row];
        result->uncovered_mib[row] = demand > 0 ? ma_max_i64(0, demand - net_of_row(core, row)) : 0;
        result->has_uncovered |= result->uncovered_mib[row] > 0;
    }
}

static void report(const struct cover_core *core, struct ma_cover_result *result) {
    report_choice(core, result);
    report_uncovered(core, result);
    int64_t lower = ma_min_i64(core->lower, core->best.cost);
    result->lower_bound = (uint64_t) lower >> core->cost_shift;
    result->is_optimal = result->lower_bound >= result->total_cost;
    result->nodes = core->nodes;
    result->operations = core->operations;
}

int ma_cover_solve(const struct ma_cover_problem *problem,
                   const struct ma_cover_limits *limits,
                   void *workspace,
                   size_t workspace_bytes,
                   struct ma_cover_result *result) {
    struct cover_core core = {.problem = problem};
    int r = ma_cover_check(problem, NULL);
    if (r < 0) {
        return r;
    }
    if (workspace_bytes < ma_cover_workspace_size(problem->n_clusters, problem->n_members,
                                                  problem->n_options, problem->n_rows)) {
        return -ENOSPC;
    }
    size_t skip = (ALIGNMENT - (uintptr_t) workspace % ALIGNMENT) % ALIGNMENT;
    (void) ma_cover_carve(&core, problem, (uint8_t *) workspace + skip);
    r = ma_cover_check(problem, core.alive);
    if (r < 0) {
        return r;
    }
    core.max_operations = limits->max_operations;
    core.max_nodes = limits->max_nodes;
    ma_cover_rows(&core);
    ma_cover_build(&core);
    solve(&core);
    report(&core, result);
    return 0;
}
