/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-rows.c - which rows can bind, and how much of each can be had at all.
 *
 * For a row d, reach(d) is what the choice that frees most of d would free, and worst(d) what the choice that
 * consumes most of it would leave; both decompose over clusters, so they cost one pass.
 *
 *   need(d) = min(demand, reach)      where there is a demand; the rest cannot be covered
 *           = -slack                  where there is none
 *
 * A row with worst(d) >= need(d) holds whatever is chosen and is dropped. A row is dropped as well where another
 * one implies it: need no larger, and every option frees at least as much of it (the host's RAM beside a node that
 * holds everything, a row given twice). That rows may be unreachable together is a harder question (cover-reach.c).
 */
#include "bytes.h"

#include "cover-internal.h"

struct extremes {
    int64_t reach;
    int64_t worst;
};

static struct extremes
of_options(const struct ma_cover_problem *problem, uint32_t first, uint32_t n, size_t row) {
    struct extremes e = {.reach = 0, .worst = 0};
    for (uint32_t i = 0; i < n; i++) {
        int64_t frees = problem->options[first + i].frees_mib[row];
        e.reach = ma_max_i64(e.reach, frees);
        e.worst = ma_min_i64(e.worst, frees);
    }
    return e;
}

static struct extremes of_cluster(const struct ma_cover_problem *problem, size_t k, size_t row) {
    const struct ma_cover_cluster *cluster = &problem->clusters[k];
    struct extremes sum = {.reach = 0, .worst = 0};
    struct extremes joint =
        of_options(problem, cluster->first_joint_option, cluster->n_joint_options, row);
    for (uint32_t i = 0; i < cluster->n_members; i++) {
        const struct ma_cover_member *member = &problem->members[cluster->first_member + i];
        struct extremes e = of_options(problem, member->first_option, member->n_options, row);
        sum.reach += e.reach;
        sum.worst += e.worst;
    }
    sum.reach = ma_max_i64(sum.reach, joint.reach);
    sum.worst = ma_min_i64(sum.worst, joint.worst);
    return sum;
}

static bool is_implied_by(const struct ma_cover_problem *problem, size_t row, size_t other) {
    for (size_t o = 0; o < problem->n_options; o++) {
        const int64_t *frees = problem->options[o].frees_mib;
        if (frees[row] < frees[other]) {
            return false;
        }
    }
    return true;
}

static void drop_row(struct cover_core *core, size_t at) {
    core->m--;
    for (size_t d = at; d < core->m; d++) {
        core->row[d] = core->row[d + 1];
        core->need[d] = core->need[d + 1];
        core->is_soft[d] = core->is_soft[d + 1];
    }
}

static void drop_implied(struct cover_core *core) {
    for (size_t d = core->m; d-- > 0;) {
        for (size_t e = 0; e < core->m; e++) {
            if (e != d && core->need[d] <= core->need[e] &&
                is_implied_by(core->problem, core->row[d], core->row[e])) {
                drop_row(core, d);
                break;
            }
        }
    }
}

void ma_cover_rows(struct cover_core *core) {
    const struct ma_cover_problem *problem = core->problem;
    core->m = 0;
    for (size_t d = 0; d < problem->n_rows; d++) {
        struct extremes all = {.reach = 0, .worst = 0};
        for (size_t k = 0; k < problem->n_clusters; k++) {
            struct extremes e = of_cluster(problem, k, d);
            all.reach += e.reach;
            all.worst += e.worst;
        }
        int64_t demand = problem->demand_mib[d];
        int64_t need = demand > 0 ? ma_min_i64(demand, all.reach) : -problem->slack_mib[d];
        if (all.worst >= need) {
            continue;
        }
        core->row[core->m] = (uint8_t) d;
        core->need[core->m] = need;
        core->is_soft[core->m++] = demand > 0;
    }
    core->operations += problem->n_options * problem->n_rows;
    drop_implied(core);
}
