/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cover.h - the planner's kernel: least total cost that covers a vector of demands.
 *
 *   min  sum of the costs of the chosen options
 *   s.t. for every row d: sum of frees[d] of the chosen options >= demand[d]
 *        per cluster: either one joint option, or for each member at most one of its own options
 *
 * A guest without a group is a cluster with one member and no joint option (its victim's options are its own). A
 * group is a cluster whose joint options are the ones that end or stop all members together; its members keep
 * their gentle options for the other case. frees may be negative (page-out consumes swap).
 *
 * Pure, integer only, deterministic to the byte, no allocation: the caller brings the workspace. Work is bounded
 * in operations, never in time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rows.h"

/* Bounds: |frees| <= 2^30 MiB (all that a snapshot can hold, MA_BYTES_MAX) and cost <= 2^40 per option, so that every
 * sum over MA_GUESTS_MAX fits int64_t and every product __int128. A problem outside is refused with -ERANGE. */
#define MA_COVER_FREES_MAX_MIB          (INT64_C(1) << 30)
#define MA_COVER_COST_MAX               (UINT64_C(1) << 40)
#define MA_COVER_OPTIONS_PER_MEMBER_MAX 12

struct ma_cover_option {
    uint64_t cost;
    int64_t frees_mib[MA_ROWS_MAX]; /* first n_rows count */
};
struct ma_cover_member {
    uint32_t first_option; /* in ma_cover_problem.options */
    uint32_t n_options;    /* <= MA_COVER_OPTIONS_PER_MEMBER_MAX; 0 is fine */
};
struct ma_cover_cluster {
    uint32_t first_member;
    uint32_t n_members;
    uint32_t first_joint_option;
    uint32_t n_joint_options; /* 0 for an ungrouped guest */
};
struct ma_cover_problem {
    size_t n_rows;                   /* 1..MA_ROWS_MAX */
    int64_t demand_mib[MA_ROWS_MAX]; /* >= 0; 0: the row may not be made worse than -slack_mib */
    /* How far a row may be consumed in sum (e.g. swap above its watermark); a row's net frees must stay
     * >= demand - 0 where demand > 0, and >= -slack where demand is 0. >= 0. */
    int64_t slack_mib[MA_ROWS_MAX];
    const struct ma_cover_cluster *clusters;
    size_t n_clusters;
    const struct ma_cover_member *members;
    size_t n_members;
    const struct ma_cover_option *options;
    size_t n_options;
};
struct ma_cover_limits {
    uint64_t max_operations; /* elementary steps (about 1.5 ns each at -O2) */
    uint32_t max_nodes;      /* of branch and bound */
};
#define MA_COVER_NONE UINT32_MAX
struct ma_cover_result {
    /* Caller's arrays: chosen option (absolute index) per member and joint option per cluster, MA_COVER_NONE: none.
     * A member of a cluster whose joint option is chosen has MA_COVER_NONE. */
    uint32_t *member_choice;
    uint32_t *cluster_choice;
    uint64_t total_cost;
    uint64_t lower_bound; /* proven, on any choice that covers demand - uncovered */
    bool is_optimal;      /* total_cost is proven least */
    uint32_t nodes;
    uint64_t operations;
    /* What the choice leaves of demands that no choice was found to reach, together or by themselves */
    int64_t uncovered_mib[MA_ROWS_MAX];
    bool has_uncovered;
};

/* Bytes of workspace that a problem of that size needs. */
size_t
ma_cover_workspace_size(size_t n_clusters, size_t n_members, size_t n_options, size_t n_rows);
/* Solves. Rows that cannot be covered are covered as far as they can be and reported; no option is taken that
 * serves only such a residual beyond reach. Ties: least cost, then fewest chosen options, then lowest indices.
 * Returns 0; -EINVAL (bad indices), -ERANGE (outside the bounds), -ENOSPC (workspace too small). */
int ma_cover_solve(const struct ma_cover_problem *problem,
                   const struct ma_cover_limits *limits,
                   void *workspace,
                   size_t workspace_bytes,
                   struct ma_cover_result *result);
