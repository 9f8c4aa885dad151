/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* division.h - how the memory that guests may have together is divided among them (balloon targets).
 *
 * t_i(level) = clamp(working set first, then headroom by shares), one common water level for all:
 *   level >= 0: t_i = working_i + shares_i * max_i * level   (surplus in proportion to shares)
 *   level <  0: t_i = working_i + working_i / shares_i * level   (shortage: relative loss in inverse proportion)
 * clamped to [floor_i, ceiling_i]; the level makes the sum equal the budget (closed form, O(n log n), integer). */

#include <stddef.h>
#include <stdint.h>

struct ma_division_item {
    uint64_t working_bytes; /* what it needs now */
    uint64_t floor_bytes;   /* never below (guarantee, what it uses plus margin) */
    uint64_t ceiling_bytes; /* never above (max, limit); >= floor */
    uint32_t shares;        /* 1..MA_SHARES_MAX */
    /* Share of its memory per node, permyriad, index = position in the node list given; NULL: no nodes. */
    const uint32_t *node_permyriad;
    uint64_t target_bytes; /* out */
};

size_t ma_division_workspace_size(size_t n_items, size_t n_nodes);
/* One budget for all. Sets target_bytes of each; their sum is <= max(budget, sum of floors) and as near to the
 * budget as whole pages allow (unless all ceilings are reached). *ret_short_bytes: sum of floors - budget, or 0.
 * Returns 0, -ENOSPC, -ERANGE (a figure above MA_BYTES_MAX, shares 0, floor > ceiling). */
int ma_division_solve(struct ma_division_item *items,
                      size_t n_items,
                      uint64_t budget_bytes,
                      void *workspace,
                      size_t workspace_bytes,
                      uint64_t *ret_short_bytes);
/* With a budget per node besides: progressive filling; the first node to fill freezes its guests.
 * node_budget_bytes[n_nodes]; n_nodes <= MA_ROWS_MAX. */
int ma_division_solve_nodes(struct ma_division_item *items,
                            size_t n_items,
                            uint64_t budget_bytes,
                            const uint64_t *node_budget_bytes,
                            size_t n_nodes,
                            void *workspace,
                            size_t workspace_bytes,
                            uint64_t *ret_short_bytes);
