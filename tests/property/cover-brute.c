/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-brute.c - the kernel against every choice there is, up to 13 members: clusters with joint options, options
 * that consume, several rows, demands out of reach. Seed and number of runs are printed; MEMARB_PROPERTY_RUNS and
 * MEMARB_PROPERTY_SEED change them. */
#include "cover-problems.h"
#include "property.h"

#define RUNS_DEFAULT 1500U
#define CHOICES_MAX  UINT64_C(400000)

struct brute {
    const struct problem_box *box;
    const int64_t *need; /* per row, may be negative */
    struct box_sum at;
    bool is_found;
    uint64_t cost;
    uint32_t n_chosen;
    uint64_t steps;
};

static void next_cluster(struct brute *b, size_t k);

static void shift(struct brute *b, uint32_t option, int sign) {
    const struct ma_cover_option *o = &b->box->options[option];
    b->at.cost = sign > 0 ? b->at.cost + o->cost : b->at.cost - o->cost;
    b->at.n_chosen = sign > 0 ? b->at.n_chosen + 1 : b->at.n_chosen - 1;
    for (size_t d = 0; d < b->box->problem.n_rows; d++) {
        b->at.net[d] += sign * o->frees_mib[d];
    }
}

static void next_member(struct brute *b, size_t k, uint32_t i) {
    const struct ma_cover_cluster *c = &b->box->clusters[k];
    if (i == c->n_members) {
        next_cluster(b, k + 1);
        return;
    }
    const struct ma_cover_member *m = &b->box->members[c->first_member + i];
    next_member(b, k, i + 1);
    for (uint32_t o = m->first_option; o < m->first_option + m->n_options; o++) {
        shift(b, o, 1);
        next_member(b, k, i + 1);
        shift(b, o, -1);
    }
}

static void leaf(struct brute *b) {
    b->steps++;
    for (size_t d = 0; d < b->box->problem.n_rows; d++) {
        if (b->at.net[d] < b->need[d]) {
            return;
        }
    }
    bool is_less = b->at.cost < b->cost || (b->at.cost == b->cost && b->at.n_chosen < b->n_chosen);
    if (!b->is_found || is_less) {
        b->is_found = true;
        b->cost = b->at.cost;
        b->n_chosen = b->at.n_chosen;
    }
}

static void next_cluster(struct brute *b, size_t k) {
    if (k == b->box->problem.n_clusters) {
        leaf(b);
        return;
    }
    const struct ma_cover_cluster *c = &b->box->clusters[k];
    next_member(b, k, 0);
    for (uint32_t j = 0; j < c->n_joint_options; j++) {
        shift(b, c->first_joint_option + j, 1);
        next_cluster(b, k + 1);
        shift(b, c->first_joint_option + j, -1);
    }
}

static struct brute try_all(const struct problem_box *box, const int64_t *need) {
    struct brute b = {.box = box, .need = need};
    next_cluster(&b, 0);
    return b;
}

static bool is_small(const struct problem_box *box) {
    /* In whole numbers: a product that passes the limit stays above it. */
    uint64_t choices = 1;
    for (size_t k = 0; k < box->problem.n_clusters; k++) {
        const struct ma_cover_cluster *c = &box->clusters[k];
        uint64_t own = 1;
        for (uint32_t i = 0; i < c->n_members; i++) {
            own *= box->members[c->first_member + i].n_options + 1;
        }
        choices *= own + c->n_joint_options;
        if (choices > CHOICES_MAX) {
            return false;
        }
    }
    return true;
}

/* Most of a row that any choice frees. */
static int64_t reach_of(const struct problem_box *box, size_t d) {
    int64_t reach = 0;
    for (size_t k = 0; k < box->problem.n_clusters; k++) {
        const struct ma_cover_cluster *c = &box->clusters[k];
        int64_t members = 0;
        int64_t joint = 0;
        for (uint32_t i = 0; i < c->n_members; i++) {
            const struct ma_cover_member *m = &box->members[c->first_member + i];
            int64_t most = 0;
            for (uint32_t o = m->first_option; o < m->first_option + m->n_options; o++) {
                most = box->options[o].frees_mib[d] > most ? box->options[o].frees_mib[d] : most;
            }
            members += most;
        }
        for (uint32_t j = 0; j < c->n_joint_options; j++) {
            int64_t f = box->options[c->first_joint_option + j].frees_mib[d];
            joint = f > joint ? f : joint;
        }
        reach += members > joint ? members : joint;
    }
    return reach;
}

static void check_against_brute(const struct problem_box *box, uint32_t n_chosen) {
    const struct ma_cover_problem *p = &box->problem;
    int64_t full[MA_ROWS_MAX];
    int64_t left[MA_ROWS_MAX];
    bool is_same = true;
    for (size_t d = 0; d < p->n_rows; d++) {
        int64_t reach = reach_of(box, d);
        int64_t demand = p->demand_mib[d];
        full[d] = demand == 0 ? -p->slack_mib[d] : demand < reach ? demand : reach;
        left[d] = demand == 0 ? -p->slack_mib[d] : demand - box->result.uncovered_mib[d];
        is_same &= full[d] == left[d];
    }
    struct brute best = try_all(box, left);
    CHECK(best.is_found);
    CHECK(box->result.lower_bound <= best.cost);
    CHECK(best.cost <= box->result.total_cost);
    if (box->result.is_optimal) {
        CHECK_U64(box->result.total_cost, best.cost);
        CHECK_U64(n_chosen, best.n_chosen);
    }
    if (!is_same && try_all(box, full).is_found) {
        TAP_FAIL("a demand was given up that can be met");
    }
}

static void run(const struct random_shape *shape, const char *name, bool always_proven) {
    uint64_t runs = property_runs(RUNS_DEFAULT);
    uint64_t seed = property_seed(20260101, runs);
    struct problem_box box;
    uint64_t proven = 0;
    uint64_t done = 0;
    (void) fprintf(stderr, "# %s\n", name);
    box_init(&box, 16, 16, 16 * 16);
    for (uint64_t r = 0; r < runs; r++) {
        uint64_t state = seed * 1000003 + r;
        random_problem(&state, &box, shape, 1 + tap_below(&state, always_proven ? 1 : 5));
        if (!is_small(&box)) {
            continue;
        }
        CHECK_I64(box_solve(&box, 20000000, 20000), 0);
        struct box_sum sum = box_check(&box);
        check_against_brute(&box, sum.n_chosen);
        proven += box.result.is_optimal ? 1 : 0;
        done++;
    }
    (void) fprintf(stderr, "# %s: %" PRIu64 " of %" PRIu64 " proven\n", name, proven, done);
    CHECK(proven * 1000 >= done * (always_proven ? 1000 : 990));
    box_fini(&box);
}

static void one_row_one_option(void) {
    run(&(struct random_shape){.members_max = 13, .options_max = 1}, "one row", true);
}
static void one_row_many_options(void) {
    run(&(struct random_shape){.members_max = 7, .options_max = 4}, "options", true);
}
static void rows_and_options(void) {
    run(&(struct random_shape){.members_max = 8, .options_max = 3}, "rows", false);
}
static void many_members(void) {
    run(&(struct random_shape){.members_max = 13, .options_max = 1}, "13 members", false);
}
static void groups_that_consume(void) {
    run(
        &(struct random_shape){
            .members_max = 8, .options_max = 3, .has_groups = true, .consumes = true},
        "groups", false);
}
static void consuming(void) {
    run(&(struct random_shape){.members_max = 8, .options_max = 3, .consumes = true}, "consuming",
        false);
}

TAP_MAIN(TAP_CASE(one_row_one_option),
         TAP_CASE(one_row_many_options),
         TAP_CASE(rows_and_options),
         TAP_CASE(many_members),
         TAP_CASE(groups_that_consume),
         TAP_CASE(consuming));
