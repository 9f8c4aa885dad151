/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* check.h - is a snapshot one that can be decided on? Bounds, order, uniqueness, sums. */

#include "snapshot.h"

#define MA_CHECK_PATH_MAX 96

struct ma_check_problem {
    char path[MA_CHECK_PATH_MAX]; /* JSON path: "$.guests[3].nodes[0].id" */
    const char *what;             /* "node does not exist on this host" */
};
/* 0, or -EINVAL / -ERANGE with the first problem. Duplicate uuids, nodes that do not exist, pinned above what can be
 * resident (resident + hugepages), node sums far above the whole, totals below available, guests beyond
 * MA_GUESTS_MAX: errors. */
int ma_snapshot_check(const struct ma_snapshot *snapshot, struct ma_check_problem *ret_problem);
/* The part that concerns one guest alone (not its order, not the sums over all): who builds a snapshot live asks
 * this first and leaves out what would make the whole snapshot undecidable. */
int ma_snapshot_check_guest(const struct ma_snapshot *snapshot,
                            size_t index,
                            struct ma_check_problem *ret_problem);
