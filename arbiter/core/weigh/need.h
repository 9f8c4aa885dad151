/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* need.h - which resources are short, by how much, and within what time: the rows of the plan. */

#include <stdbool.h>
#include <stdint.h>

#include "facts.h"
#include "plan.h"
#include "snapshot.h"
#include "state.h"

/* One resource as the snapshot shows it. Watermarks and reserve of swap and nodes are the host's in proportion to
 * their size. */
struct ma_resource {
    uint64_t total_bytes;
    uint64_t available_bytes;
    bool has_slope;
    int64_t slope_bytes_per_s;
    uint64_t reserve_bytes;
    uint64_t soft_bytes;
    uint64_t hard_bytes;
    uint64_t critical_bytes;
    /* ram always; a node only while a guest is bound to it (or may be: its placement is not known): elsewhere the
     * kernel takes the other node. swap never by itself. */
    bool counts;
};

struct ma_need {
    struct ma_resource resources[MA_ROWS_MAX]; /* of plan->rows */
    size_t n_rows;
    int64_t demand_mib[MA_ROWS_MAX]; /* whole MiB up, margin included; 0: not short */
    /* above soft watermark and reserve, what is owed taken off; 0 when below */
    int64_t slack_mib[MA_ROWS_MAX];
    bool has_demand; /* ram or a node */
    int ram;         /* row indices, -1: none */
    int swap;
    int64_t swap_demand_mib;          /* joins the others once a victim is needed anyway */
    uint64_t loss_bytes[MA_ROWS_MAX]; /* within the horizon: what a demand was projected with */
    uint64_t horizon_usec;            /* of the projection */
    uint64_t window_usec;             /* within which a gain counts */
    uint64_t time_left_usec;          /* until ram or a short node is exhausted */
    /* The same with swap on top, if no balloon returned anything any more while guests go on as they grow: as long as
     * something slow may take. */
    uint64_t surely_left_usec;
};

/* The rows of a snapshot: ram, swap where there is some, and nodes, the shortest ones when there are too many. */
size_t ma_need_rows(const struct ma_snapshot *snapshot, struct ma_row rows[MA_ROWS_MAX]);
/* Until the first short row that counts (ram, a node that guests are bound to) is exhausted at its slope;
 * MA_USEC_INFINITY: none goes that way. plan: rows, row_pressure and slopes are set. */
uint64_t ma_need_time_left_usec(const struct ma_snapshot *snapshot, const struct ma_plan *plan);
/* Time until ram is gone at that slope, where gentle actions have not landed by then (the horizon); 0: there is time. */
uint32_t ma_need_deadline_ms(const struct ma_snapshot *snapshot, int64_t slope_bytes_per_s);
/* Is the guest unable to take its memory elsewhere than from this node, or may be (its placement is not known)? */
bool ma_need_is_bound(const struct ma_guest *guest, uint16_t id);
void ma_need_resource(const struct ma_snapshot *snapshot,
                      const struct ma_row *row,
                      struct ma_resource *ret);
/* plan: rows and row_pressure are set. facts: of all guests. */
void ma_need_compute(const struct ma_snapshot *snapshot,
                     const struct ma_state *state,
                     const struct ma_facts *facts,
                     const struct ma_plan *plan,
                     struct ma_need *ret);
/* How long a balloon moves until what it returns must be there for this row; one that moves already has its lag behind
 * it. */
uint64_t ma_need_landing_usec(const struct ma_need *need, const struct ma_row *row, bool is_moving);
/* The worst pressure of the rows that count. */
enum ma_pressure ma_need_pressure(const struct ma_snapshot *snapshot, const struct ma_plan *plan);
/* Of growth that comes to an end, what may be counted on: no short row gets back more than its demand was projected with. */
uint64_t ma_need_stopped(const struct ma_need *need,
                         const struct ma_plan *plan,
                         const struct ma_guest *guest,
                         uint64_t growth_bytes);
/* part of `amount` that lies on the row's node, by the guest's resident bytes; all of it on ram, none elsewhere. */
uint64_t ma_need_share(const struct ma_guest *guest, const struct ma_row *row, uint64_t amount);
