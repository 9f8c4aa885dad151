/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* choose.c - from candidates to the planner's problem and back.
 *
 * The problem's options have the indices of the plan's: what the planner chose can be read off the plan. Members are
 * guests in clusters; a group is one cluster, whose joint options stand with its first member, behind that member's
 * gentle ones. The gentle problem is the same with victims' options left out. Clusters without any option are no part of
 * the problem: on most hosts that is two guests of three as long as nobody must go. */
#include "study.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"

/* The planner's effort: operations of about 1.5 ns, so much and so much for each option. Too small: certificates with
 * a gap; too large: late decisions. Measured by tests/bench/decide-bench: 100 guests of 8 rows are proven in 97 % of
 * cases; 1,000 of 8 rows end within 0.5 % of the bound in nine of ten (with 1,500 an option in one of ten less), the median
 * being the same; 16,384 of 8 rows all do, in 0.3 s of 1 that they may take. */
#define PLANNER_OPERATIONS            UINT64_C(2000000)
#define PLANNER_OPERATIONS_PER_OPTION UINT64_C(4500)
#define PLANNER_NODES                 600U

struct builder {
    struct ma_study *study;
    bool with_victims;
    struct ma_cover_problem problem;
    struct ma_cover_option *options;
    struct ma_cover_member *members;
    struct ma_cover_cluster *clusters;
    uint32_t *member_guest;
    /* The plan's row by the problem's: where not all can be met together, the planner gives up the later ones. */
    uint8_t row[MA_ROWS_MAX];
};

static uint32_t count_gentle(const struct ma_plan *plan, const struct ma_candidate *candidate) {
    uint32_t n = 0;

    while (n < candidate->n_options && !plan->options[candidate->first_option + n].is_victim) {
        n++;
    }
    return n;
}

static uint32_t add_member(struct builder *builder, uint32_t guest, bool is_grouped) {
    const struct ma_plan *plan = builder->study->plan;
    const struct ma_candidate *candidate = &plan->candidates[guest];
    struct ma_cover_member *member = &builder->members[builder->problem.n_members];

    builder->member_guest[builder->problem.n_members++] = guest;
    member->first_option = candidate->first_option;
    member->n_options =
        builder->with_victims && !is_grouped ? candidate->n_options : count_gentle(plan, candidate);
    return member->n_options;
}

static void add_cluster(struct builder *builder, const uint32_t *guests, uint32_t n_guests) {
    const struct ma_plan *plan = builder->study->plan;
    const struct ma_candidate *first = &plan->candidates[guests[0]];
    struct ma_cover_cluster *cluster = &builder->clusters[builder->problem.n_clusters];
    uint32_t first_member = (uint32_t) builder->problem.n_members;
    uint32_t n_gentle = count_gentle(plan, first);
    uint32_t n_options;

    if (guests[0] == builder->study->left_out_guest) {
        return;
    }
    *cluster = (struct ma_cover_cluster){
        .first_member = first_member,
        .n_members = n_guests,
        .first_joint_option = first->first_option + n_gentle,
    };
    if (n_guests > 1 && builder->with_victims) {
        cluster->n_joint_options = first->n_options - n_gentle;
    }
    n_options = cluster->n_joint_options;
    for (uint32_t k = 0; k < n_guests; k++) {
        n_options += add_member(builder, guests[k], n_guests > 1);
    }
    if (n_options > 0) {
        builder->problem.n_clusters++;
    } else {
        builder->problem.n_members = first_member;
    }
}

static void build_clusters(struct builder *builder) {
    const struct ma_groups *groups = &builder->study->groups;
    uint32_t n = (uint32_t) builder->study->plan->n_candidates;

    for (uint32_t guest = 0; guest < n; guest++) {
        uint32_t index = groups->group_of[guest];
        const struct ma_group *group = index == MA_NO_GROUP ? NULL : &groups->groups[index];

        if (group == NULL || group->excluded_because != MA_REASON_NONE) {
            add_cluster(builder, &guest, 1);
        } else if (groups->members[group->first] == guest) {
            add_cluster(builder, groups->members + group->first, group->n_members);
        }
    }
}

/* Swap comes last: it is a reason for nobody's end by itself, and must not cost ram its deadline. */
static void order_rows(struct builder *builder) {
    const struct ma_study *study = builder->study;
    size_t n = 0;

    for (size_t d = 0; d < study->plan->n_rows; d++) {
        if ((int) d != study->need.swap) {
            builder->row[n++] = (uint8_t) d;
        }
    }
    if (study->need.swap >= 0) {
        builder->row[n++] = (uint8_t) study->need.swap;
    }
    builder->problem.n_rows = n;
}

/* What a growth over a long horizon comes to may be more than any host has, and than the planner's numbers carry. Such an
 * option counts for what they carry: one guest's figures must not keep the host without a plan. */
static int64_t carried_mib(int64_t mib) {
    return ma_min_i64(ma_max_i64(mib, -MA_COVER_FREES_MAX_MIB), MA_COVER_FREES_MAX_MIB);
}

static void build_options(struct builder *builder) {
    const struct ma_plan *plan = builder->study->plan;

    for (size_t k = 0; k < plan->n_options; k++) {
        builder->options[k].cost = plan->options[k].impact;
        for (size_t d = 0; d < plan->n_rows; d++) {
            builder->options[k].frees_mib[d] =
                carried_mib(plan->options[k].frees.mib[builder->row[d]]);
        }
    }
    builder->problem.options = builder->options;
    builder->problem.n_options = plan->n_options;
}

static int take_arrays(struct builder *builder, struct ma_choice *choice) {
    struct ma_arena *arena = &builder->study->arena;
    size_t n = builder->study->plan->n_candidates;

    choice->member_choice = ma_arena_take(arena, n, sizeof(uint32_t));
    choice->cluster_choice = ma_arena_take(arena, n, sizeof(uint32_t));
    builder->member_guest = ma_arena_take(arena, n, sizeof(uint32_t));
    choice->member_guest = builder->member_guest;
    return choice->member_choice != NULL && choice->cluster_choice != NULL &&
                   builder->member_guest != NULL
               ? 0
               : -ENOSPC;
}

static int take_problem(struct builder *builder) {
    struct ma_arena *arena = &builder->study->arena;
    size_t n = builder->study->plan->n_candidates;

    builder->options =
        ma_arena_take(arena, builder->study->plan->n_options, sizeof(*builder->options));
    builder->members = ma_arena_take(arena, n, sizeof(*builder->members));
    builder->clusters = ma_arena_take(arena, n, sizeof(*builder->clusters));
    builder->problem.members = builder->members;
    builder->problem.clusters = builder->clusters;
    return builder->options != NULL && builder->members != NULL && builder->clusters != NULL
               ? 0
               : -ENOSPC;
}

static void set_demand(struct builder *builder) {
    const struct ma_study *study = builder->study;

    for (size_t d = 0; d < study->plan->n_rows; d++) {
        size_t row = builder->row[d];
        bool is_swap = (int) row == study->need.swap;
        int64_t demand = is_swap && !builder->with_victims ? 0 : study->options.demand_mib[row];

        builder->problem.demand_mib[d] = demand;
        builder->problem.slack_mib[d] = demand > 0 ? 0 : study->need.slack_mib[row];
    }
}

/* From the problem's rows back to the plan's. */
static void restore_rows(const struct builder *builder, struct ma_choice *choice) {
    int64_t uncovered[MA_ROWS_MAX] = {0};

    for (size_t d = 0; d < builder->problem.n_rows; d++) {
        uncovered[builder->row[d]] = choice->result.uncovered_mib[d];
    }
    memcpy(choice->result.uncovered_mib, uncovered, sizeof(uncovered));
}

static int solve(struct builder *builder, struct ma_choice *choice) {
    int r;
    struct ma_cover_limits limits = {.max_operations =
                                         PLANNER_OPERATIONS + PLANNER_OPERATIONS_PER_OPTION *
                                                                  builder->study->plan->n_options,
                                     .max_nodes = PLANNER_NODES};
    struct ma_cover_problem *problem = &builder->problem;
    struct ma_arena *arena = &builder->study->arena;
    size_t bytes = ma_cover_workspace_size(problem->n_clusters, problem->n_members,
                                           problem->n_options, problem->n_rows);
    void *workspace = ma_arena_take(arena, bytes, 1);

    if (workspace == NULL) {
        return -ENOSPC;
    }
    choice->result.member_choice = choice->member_choice;
    choice->result.cluster_choice = choice->cluster_choice;
    r = ma_cover_solve(problem, &limits, workspace, bytes, &choice->result);
    if (r == 0) {
        restore_rows(builder, choice);
    }
    return r;
}

void ma_study_gentle_limits(const struct ma_study *study, struct ma_amounts *ret_uncovered) {
    const struct ma_plan *plan = study->plan;
    int64_t sum[MA_ROWS_MAX] = {0};

    memset(ret_uncovered, 0, sizeof(*ret_uncovered));
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct ma_option *option = &plan->options[plan->candidates[i].first_option];
        uint32_t n = count_gentle(plan, &plan->candidates[i]);

        for (size_t d = 0; d < plan->n_rows && n > 0; d++) {
            int64_t most = 0;

            for (uint32_t k = 0; k < n; k++) {
                most = ma_max_i64(most, option[k].frees.mib[d]);
            }
            sum[d] += most;
        }
    }
    for (size_t d = 0; d < plan->n_rows; d++) {
        if ((int) d != study->need.swap) {
            ret_uncovered->mib[d] = ma_max_i64(0, study->options.demand_mib[d] - sum[d]);
        }
    }
}

int ma_study_choose(struct ma_study *study, bool with_victims, struct ma_choice *ret) {
    struct builder builder = {.study = study, .with_victims = with_victims};
    size_t mark;
    int r;

    memset(ret, 0, sizeof(*ret));
    r = take_arrays(&builder, ret);
    if (r < 0) {
        return r;
    }
    /* The problem itself is thrown away after solving, the answer stays. */
    mark = study->arena.used;
    r = take_problem(&builder);
    if (r == 0) {
        order_rows(&builder);
        build_clusters(&builder);
        build_options(&builder);
        set_demand(&builder);
        r = solve(&builder, ret);
    }
    study->arena.used = mark;
    ret->has_victims = with_victims;
    ret->n_members = builder.problem.n_members;
    ret->n_clusters = builder.problem.n_clusters;
    ret->is_covering = true;
    for (size_t d = 0; d < study->plan->n_rows && r == 0; d++) {
        if ((int) d != study->need.swap && ret->result.uncovered_mib[d] > 0) {
            ret->is_covering = false;
        }
    }
    return r;
}
