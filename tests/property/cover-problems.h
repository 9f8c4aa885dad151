/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cover-problems.h - problems for the planner's kernel in arrays of their own, random ones, and what must hold of
 * every answer. Shared by the kernel's tests. */

#include <errno.h>

#include "../support/tap.h"
#include "bytes.h"
#include "cover.h"

struct problem_box {
    struct ma_cover_problem problem;
    struct ma_cover_cluster *clusters;
    struct ma_cover_member *members;
    struct ma_cover_option *options;
    size_t max_clusters;
    size_t max_members;
    size_t max_options;
    void *workspace;
    size_t workspace_bytes;
    struct ma_cover_result result;
};

static inline void *box_array(size_t n, size_t size) {
    void *p = calloc(n > 0 ? n : 1, size);
    if (p == NULL) {
        abort();
    }
    return p;
}

static inline void
box_init(struct problem_box *box, size_t clusters, size_t members, size_t options) {
    *box = (struct problem_box){
        .max_clusters = clusters, .max_members = members, .max_options = options};
    box->clusters = box_array(clusters, sizeof(*box->clusters));
    box->members = box_array(members, sizeof(*box->members));
    box->options = box_array(options, sizeof(*box->options));
    box->problem.clusters = box->clusters;
    box->problem.members = box->members;
    box->problem.options = box->options;
    box->workspace_bytes = ma_cover_workspace_size(clusters, members, options, MA_ROWS_MAX);
    box->workspace = box_array(box->workspace_bytes, 1);
    box->result.member_choice = box_array(members, sizeof(uint32_t));
    box->result.cluster_choice = box_array(clusters, sizeof(uint32_t));
}

static inline void box_fini(struct problem_box *box) {
    free(box->clusters);
    free(box->members);
    free(box->options);
    free(box->workspace);
    free(box->result.member_choice);
    free(box->result.cluster_choice);
}

static inline void box_clear(struct problem_box *box, size_t n_rows) {
    box->problem.n_rows = n_rows;
    box->problem.n_clusters = 0;
    box->problem.n_members = 0;
    box->problem.n_options = 0;
    for (size_t d = 0; d < MA_ROWS_MAX; d++) {
        box->problem.demand_mib[d] = 0;
        box->problem.slack_mib[d] = 0;
    }
}

/* A cluster, then its joint options, then its members each followed by its options. */
static inline void box_cluster(struct problem_box *box) {
    struct ma_cover_problem *p = &box->problem;
    if (p->n_clusters == box->max_clusters) {
        abort();
    }
    box->clusters[p->n_clusters++] = (struct ma_cover_cluster){
        .first_member = (uint32_t) p->n_members, .first_joint_option = (uint32_t) p->n_options};
}
static inline struct ma_cover_option *box_new_option(struct problem_box *box, uint64_t cost) {
    if (box->problem.n_options == box->max_options) {
        abort();
    }
    struct ma_cover_option *o = &box->options[box->problem.n_options++];
    *o = (struct ma_cover_option){.cost = cost};
    return o;
}
static inline struct ma_cover_option *box_joint(struct problem_box *box, uint64_t cost) {
    box->clusters[box->problem.n_clusters - 1].n_joint_options++;
    return box_new_option(box, cost);
}
static inline void box_member(struct problem_box *box) {
    struct ma_cover_problem *p = &box->problem;
    if (p->n_members == box->max_members) {
        abort();
    }
    box->clusters[p->n_clusters - 1].n_members++;
    box->members[p->n_members++] =
        (struct ma_cover_member){.first_option = (uint32_t) p->n_options};
}
static inline struct ma_cover_option *box_option(struct problem_box *box, uint64_t cost) {
    box->members[box->problem.n_members - 1].n_options++;
    return box_new_option(box, cost);
}
/* A guest of its own with one option. */
static inline struct ma_cover_option *
box_guest(struct problem_box *box, uint64_t cost, int64_t frees) {
    box_cluster(box);
    box_member(box);
    struct ma_cover_option *o = box_option(box, cost);
    o->frees_mib[0] = frees;
    return o;
}

static inline int box_solve(struct problem_box *box, uint64_t operations, uint32_t nodes) {
    struct ma_cover_limits limits = {.max_operations = operations, .max_nodes = nodes};
    return ma_cover_solve(&box->problem, &limits, box->workspace, box->workspace_bytes,
                          &box->result);
}

struct box_sum {
    uint64_t cost;
    uint32_t n_chosen;
    int64_t net[MA_ROWS_MAX];
};

static inline void box_add(const struct problem_box *box, struct box_sum *sum, uint32_t option) {
    if (option == MA_COVER_NONE) {
        return;
    }
    bool is_of_use = box->options[option].cost == 0;
    sum->cost += box->options[option].cost;
    sum->n_chosen++;
    for (size_t d = 0; d < box->problem.n_rows; d++) {
        sum->net[d] += box->options[option].frees_mib[d];
        is_of_use |= box->options[option].frees_mib[d] > 0;
    }
    CHECK(is_of_use); /* nobody pays for nothing */
}

static inline void box_check_owner(uint32_t option, uint32_t first, uint32_t n, const char *what) {
    if (option != MA_COVER_NONE && (option < first || option - first >= n)) {
        TAP_FAIL("%s was given option %u, not one of its own %u from %u", what, option, n, first);
    }
}

/* What must hold of any answer; returns its sums. */
static inline struct box_sum box_check(const struct problem_box *box) {
    const struct ma_cover_problem *p = &box->problem;
    const struct ma_cover_result *r = &box->result;
    struct box_sum sum = {.cost = 0};
    for (size_t k = 0; k < p->n_clusters; k++) {
        const struct ma_cover_cluster *c = &p->clusters[k];
        box_check_owner(r->cluster_choice[k], c->first_joint_option, c->n_joint_options, "cluster");
        box_add(box, &sum, r->cluster_choice[k]);
        for (uint32_t i = c->first_member; i < c->first_member + c->n_members; i++) {
            const struct ma_cover_member *m = &p->members[i];
            box_check_owner(r->member_choice[i], m->first_option, m->n_options, "member");
            CHECK(r->cluster_choice[k] == MA_COVER_NONE || r->member_choice[i] == MA_COVER_NONE);
            box_add(box, &sum, r->member_choice[i]);
        }
    }
    bool has_uncovered = false;
    for (size_t d = 0; d < p->n_rows; d++) {
        int64_t need =
            p->demand_mib[d] > 0 ? p->demand_mib[d] - r->uncovered_mib[d] : -p->slack_mib[d];
        CHECK(r->uncovered_mib[d] >= 0 && r->uncovered_mib[d] <= p->demand_mib[d]);
        if (sum.net[d] < need) {
            TAP_FAIL("row %zu has %" PRId64 " of %" PRId64, d, sum.net[d], need);
        }
        /* Uncovered is what the choice leaves, no less and no more. */
        CHECK_I64(r->uncovered_mib[d],
                  p->demand_mib[d] > 0 ? ma_max_i64(0, p->demand_mib[d] - sum.net[d]) : 0);
        has_uncovered |= r->uncovered_mib[d] > 0;
    }
    CHECK(has_uncovered == r->has_uncovered);
    CHECK_U64(r->total_cost, sum.cost);
    CHECK(r->lower_bound <= r->total_cost);
    CHECK(r->is_optimal == (r->lower_bound == r->total_cost));
    return sum;
}

/* Random problems small enough to be tried out in full. */
struct random_shape {
    uint32_t members_max;
    uint32_t options_max;
    bool has_groups;
    bool consumes;
};

static inline void
random_option(uint64_t *state, struct problem_box *box, struct ma_cover_option *o, bool consumes) {
    static const uint64_t scale[4] = {10, 1000, 100000, UINT64_C(1) << 30};
    o->cost = tap_below(state, scale[tap_below(state, 4)]);
    static const uint64_t sizes[8] = {20, 20, 20, 20, 20000, 20000, 20000, MA_COVER_FREES_MAX_MIB};
    int64_t size = (int64_t) (1 + tap_below(state, sizes[tap_below(state, 8)]));
    for (size_t d = 0; d < box->problem.n_rows; d++) {
        uint64_t kind = tap_below(state, 8);
        int64_t part = (int64_t) tap_below(state, (uint64_t) size + 1);
        o->frees_mib[d] = kind < 2 ? 0 : kind < 4 ? size : part;
        if (consumes && kind == 7) {
            o->frees_mib[d] = -part;
        }
    }
}

static inline void random_demands(uint64_t *state, struct problem_box *box) {
    for (size_t d = 0; d < box->problem.n_rows; d++) {
        int64_t sum = 1;
        for (size_t o = 0; o < box->problem.n_options; o++) {
            int64_t f = box->options[o].frees_mib[d];
            sum += f > 0 ? f : 0;
        }
        int64_t demand =
            (int64_t) tap_below(state, (uint64_t) sum) * (int64_t) (1 + tap_below(state, 10)) / 12;
        box->problem.demand_mib[d] = tap_below(state, 5) == 0 ? 0 : demand;
        box->problem.slack_mib[d] = (int64_t) tap_below(state, (uint64_t) sum);
    }
}

static inline void random_problem(uint64_t *state,
                                  struct problem_box *box,
                                  const struct random_shape *shape,
                                  size_t rows) {
    box_clear(box, rows);
    uint32_t members = 1 + (uint32_t) tap_below(state, shape->members_max);
    bool consumes = shape->consumes && tap_below(state, 2) != 0;
    while (members > 0) {
        uint32_t n = shape->has_groups ? 1 + (uint32_t) tap_below(state, 3) : 1;
        n = n < members ? n : members;
        members -= n;
        box_cluster(box);
        uint32_t joints =
            shape->has_groups && tap_below(state, 2) != 0 ? (uint32_t) tap_below(state, 3) : 0;
        for (uint32_t j = 0; j < joints; j++) {
            random_option(state, box, box_joint(box, 0), consumes && tap_below(state, 3) == 0);
        }
        for (uint32_t i = 0; i < n; i++) {
            box_member(box);
            uint32_t options = (uint32_t) tap_below(state, shape->options_max + 1);
            for (uint32_t o = 0; o < options; o++) {
                random_option(state, box, box_option(box, 0), consumes);
            }
        }
    }
    random_demands(state, box);
}
