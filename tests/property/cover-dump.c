/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-dump.c - writes problems that are too large to try everything as integer programs in CPLEX LP format, and
 * prints our answer to each: "NAME COST LOWER OPTIMAL". cover-glpk.py compares them with glpsol.
 *
 *   cover-dump FOLDER COUNT SEED */
#include "../bench/cover-instances.h"

static void write_row(FILE *f, const struct problem_box *box, size_t d) {
    for (size_t o = 0; o < box->problem.n_options; o++) {
        int64_t v = box->options[o].frees_mib[d];
        if (v != 0) {
            (void) fprintf(f, " %+" PRId64 " x%zu\n", v, o);
        }
    }
}

static int64_t need_of(const struct problem_box *box, size_t d) {
    int64_t demand = box->problem.demand_mib[d];
    return demand > 0 ? demand - box->result.uncovered_mib[d] : -box->problem.slack_mib[d];
}

/* Per member: own options and every joint option of its cluster exclude each other. */
static void write_choices(FILE *f, const struct problem_box *box) {
    for (size_t k = 0; k < box->problem.n_clusters; k++) {
        const struct ma_cover_cluster *c = &box->clusters[k];
        for (uint32_t i = c->first_member; i < c->first_member + c->n_members; i++) {
            const struct ma_cover_member *m = &box->members[i];
            if (m->n_options + c->n_joint_options == 0) {
                continue;
            }
            (void) fprintf(f, " g%u:", i);
            for (uint32_t o = 0; o < m->n_options; o++) {
                (void) fprintf(f, " + x%u\n", m->first_option + o);
            }
            for (uint32_t j = 0; j < c->n_joint_options; j++) {
                (void) fprintf(f, " + x%u\n", c->first_joint_option + j);
            }
            (void) fprintf(f, " <= 1\n");
        }
    }
}

static void write_problem(FILE *f, const struct problem_box *box) {
    (void) fprintf(f, "Minimize\n obj:\n");
    for (size_t o = 0; o < box->problem.n_options; o++) {
        (void) fprintf(f, " + %" PRIu64 " x%zu\n", box->options[o].cost, o);
    }
    (void) fprintf(f, "Subject To\n");
    for (size_t d = 0; d < box->problem.n_rows; d++) {
        (void) fprintf(f, " r%zu: 0 none\n", d);
        write_row(f, box, d);
        (void) fprintf(f, " >= %" PRId64 "\n", need_of(box, d));
    }
    write_choices(f, box);
    (void) fprintf(f, "Binary\n none\n");
    for (size_t o = 0; o < box->problem.n_options; o++) {
        (void) fprintf(f, " x%zu\n", o);
    }
    (void) fprintf(f, "End\n");
}

static void make(uint64_t *state, struct problem_box *box, unsigned i) {
    static const size_t rows[3] = {2, 6, OPTION_ROWS_MAX};
    static const struct random_shape groups = {
        .members_max = 40, .options_max = 3, .has_groups = true, .consumes = true};
    double share = 0.02 + 0.4 * in_unit(state);
    switch (i % 4) {
    case 0:
        one_row_instance(state, box, i / 4 % ONE_ROW_REALISTIC, 30 + tap_below(state, 70), share);
        break;
    case 1:
        rows_instance(state, box, i / 4 % ROWS_CLASSES, 20 + tap_below(state, 40), share);
        break;
    case 2:
        option_instance(state, box, rows[i / 4 % 3], 10 + tap_below(state, 20), share);
        break;
    default:
        random_problem(state, box, &groups, 1 + tap_below(state, 5));
        break;
    }
}

int main(int argc, char **argv) {
    struct problem_box box;
    if (argc != 4) {
        (void) fprintf(stderr, "usage: %s FOLDER COUNT SEED\n", argv[0]);
        return 2;
    }
    unsigned count = (unsigned) strtoul(argv[2], NULL, 10);
    uint64_t seed = strtoull(argv[3], NULL, 10);
    box_init(&box, 128, 128, 1024);
    for (unsigned i = 0; i < count; i++) {
        char path[4096];
        uint64_t state = seed * 1000003 + i;
        make(&state, &box, i);
        CHECK_I64(box_solve(&box, 40000000, 4000), 0);
        (void) box_check(&box);
        (void) snprintf(path, sizeof(path), "%s/p%03u.lp", argv[1], i);
        FILE *f = fopen(path, "w");
        if (f == NULL) {
            return 1;
        }
        write_problem(f, &box);
        (void) fclose(f);
        (void) printf("p%03u %" PRIu64 " %" PRIu64 " %d\n", i, box.result.total_cost,
                      box.result.lower_bound, box.result.is_optimal);
    }
    box_fini(&box);
    return 0;
}
