/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* rebalance.h - pages of a guest that may lie elsewhere moved from a short node to one with room. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "facts.h"
#include "need.h"
#include "plan.h"

/* What leaves a node in one step. Too small: steps that cost more than they move; too large: it goes on for seconds
 * after the shortage has ended, where the stop comes late. Guessed; 5 s at the pace below. */
#define MA_REBALANCE_STEP_BYTES (UINT64_C(256) * MA_MIB)
#define MA_REBALANCE_MIN_BYTES  (UINT64_C(8) * MA_MIB)
/* Pace of move_pages() with its rests. Too small: guests are squeezed or ended where moving would do; too large: it is
 * late. Measured without rests: 127 MiB/s on an emulated host (Linux 6.1); half of that is rests. */
#define MA_REBALANCE_RATE_BYTES_PER_S (UINT64_C(50) * MA_MIB)

struct ma_rebalance {
    bool is_planned;
    uint32_t guest;
    size_t from_row, to_row; /* in plan->rows */
    uint64_t from_bytes;     /* what it has on the short node */
    uint64_t to_bytes;       /* what is left there */
    struct ma_amounts frees; /* of the whole step; what lands within the window on the short node */
};

/* Why its pages may not be moved; NONE: they may. */
enum ma_reason ma_rebalance_reason(const struct ma_snapshot *snapshot,
                                   const struct ma_facts *facts);
/* The next step, where a node that counts is hard short or worse and another has room: at most one, and none while one
 * is under way. plan: rows and row_pressure are set. Deterministic; O(guests x their nodes). */
void ma_rebalance_find(const struct ma_snapshot *snapshot,
                       const struct ma_facts *facts,
                       const struct ma_need *need,
                       const struct ma_plan *plan,
                       struct ma_rebalance *ret);
/* What moving so much brings and costs. */
void ma_rebalance_frees(const struct ma_need *need,
                        const struct ma_rebalance *move,
                        uint64_t bytes,
                        struct ma_amounts *ret);
/* Of a step under way: what has yet to leave that node (or to come, with the other sign); 0: none. */
int64_t
ma_rebalance_in_flight(const struct ma_facts *facts, const struct ma_row *row, uint64_t now_usec);
/* The nodes of an action that was planned here. False: it names none. */
bool ma_rebalance_nodes(const struct ma_plan *plan,
                        const struct ma_plan_action *action,
                        uint16_t *ret_from,
                        uint16_t *ret_to);
