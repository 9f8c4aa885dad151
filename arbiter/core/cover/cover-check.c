/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-check.c - refuses a problem that is outside the kernel's bounds, before anything is computed from it.
 *
 * Everything behind this file relies on: indices in range, every member in exactly one cluster, no more options
 * used than there are, |frees| and cost within their bounds. Nothing here wraps for any 64-bit input. */
#include <errno.h>

#include "bytes.h"
#include "cover-internal.h"

static bool in_range(uint64_t first, uint64_t n, uint64_t limit) {
    return n <= limit && first <= limit - n;
}

static int check_shape(const struct ma_cover_problem *problem) {
    if (problem->n_rows < 1 || problem->n_rows > MA_ROWS_MAX) {
        return -EINVAL;
    }
    if (problem->n_members > MA_GUESTS_MAX || problem->n_clusters > MA_GUESTS_MAX ||
        problem->n_options > COVER_OPTIONS_MAX) {
        return -ERANGE;
    }
    for (size_t d = 0; d < problem->n_rows; d++) {
        if (problem->demand_mib[d] < 0 || problem->slack_mib[d] < 0) {
            return -ERANGE;
        }
    }
    return 0;
}

static int check_options(const struct ma_cover_problem *problem) {
    for (size_t o = 0; o < problem->n_options; o++) {
        if (problem->options[o].cost > MA_COVER_COST_MAX) {
            return -ERANGE;
        }
        for (size_t d = 0; d < problem->n_rows; d++) {
            int64_t frees = problem->options[o].frees_mib[d];
            if (frees > MA_COVER_FREES_MAX_MIB || frees < -MA_COVER_FREES_MAX_MIB) {
                return -ERANGE;
            }
        }
    }
    return 0;
}

/* Adds the options of a cluster and of its members to *used. */
static int
check_cluster(const struct ma_cover_problem *problem, size_t k, uint64_t *seen, uint64_t *used) {
    const struct ma_cover_cluster *cluster = &problem->clusters[k];
    if (!in_range(cluster->first_member, cluster->n_members, problem->n_members) ||
        !in_range(cluster->first_joint_option, cluster->n_joint_options, problem->n_options)) {
        return -EINVAL;
    }
    *used += cluster->n_joint_options;
    for (uint32_t i = 0; i < cluster->n_members; i++) {
        uint32_t at = cluster->first_member + i;
        const struct ma_cover_member *member = &problem->members[at];
        if (cover_bit(seen, at) || member->n_options > MA_COVER_OPTIONS_PER_MEMBER_MAX ||
            !in_range(member->first_option, member->n_options, problem->n_options)) {
            return -EINVAL;
        }
        cover_bit_set(seen, at);
        *used += member->n_options;
    }
    return 0;
}

int ma_cover_check(const struct ma_cover_problem *problem, uint64_t *seen) {
    int r = check_shape(problem);
    uint64_t used = 0;
    if (r < 0 || seen == NULL) {
        return r;
    }
    for (size_t i = 0; i < problem->n_members / 64 + 1; i++) {
        seen[i] = 0;
    }
    for (size_t k = 0; k < problem->n_clusters; k++) {
        r = check_cluster(problem, k, seen, &used);
        if (r < 0) {
            return r;
        }
    }
    for (uint32_t i = 0; i < problem->n_members; i++) {
        if (!cover_bit(seen, i)) {
            return -EINVAL;
        }
    }
    if (used > problem->n_options) {
        return -EINVAL;
    }
    return check_options(problem);
}
