/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* plan.h - what is decided on one snapshot, and why (contract: urn:memarb:plan:1).
 *
 * The caller brings one block of memory sized for a number of guests; filling a plan allocates nothing. Guests are
 * named by their index in the snapshot that the plan was made on; a plan is readable only beside that snapshot. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "impact.h"
#include "pressure.h"
#include "reason.h"
#include "rows.h"
#include "snapshot.h"
#include "state.h"

#define MA_OPTION_STEPS_MAX 2
/* Per guest: balloon free, cache, working; resize; reclaim; balloon+reclaim; pause; pause+reclaim; save; shutdown;
 * kill, and one spare. */
#define MA_OPTIONS_PER_GUEST_MAX 12
#define MA_GROUP_MEMBERS_MAX     MA_VICTIM_MEMBERS_MAX

struct ma_step {
    enum ma_action action;
    bool has_to;
    uint64_t to_bytes;
};
struct ma_option {
    struct ma_step steps[MA_OPTION_STEPS_MAX];
    unsigned n_steps;
    enum ma_rung rung;
    uint64_t impact;
    enum ma_reason reason;
    bool is_victim;
    bool is_chosen;
    /* Whole MiB rounded down; what it consumes negative, rounded up in size. Last: only the plan's rows are set. */
    struct ma_amounts frees;
};
struct ma_candidate {
    uint32_t guest;
    bool is_eligible; /* for anything at all */
    /* when not eligible as a victim; may stand beside gentle options */
    enum ma_reason excluded_because;
    bool has_impact;
    struct ma_impact impact;
    uint32_t first_option; /* in ma_plan.options */
    uint32_t n_options;
};
struct ma_plan_action {
    bool has_guest;
    uint32_t guest;
    enum ma_action action;
    bool has_from_to;
    uint64_t from_bytes;
    uint64_t to_bytes;
    bool has_frees;
    struct ma_amounts frees;
    uint64_t impact;
    enum ma_reason reason;
    uint64_t deadline_usec; /* how long it may take until its memory is back; 0: not said */
    bool is_armed;          /* false: planned, shown, not taken */
    enum ma_reason withheld_because; /* when not armed */
    bool is_emergency;               /* dead band, slew and dwell do not apply */
};
/* What the guard changed in a policy's proposal. */
struct ma_trim {
    bool has_guest;
    uint32_t guest;
    enum ma_action action;
    enum ma_reason reason;
    uint64_t proposed_bytes; /* balloon targets; 0 otherwise */
    uint64_t granted_bytes;
};
struct ma_certificate {
    uint64_t total_impact;
    uint64_t lower_bound_impact;
    bool is_optimal;
    uint32_t nodes;
    uint32_t victims;
};
struct ma_plan {
    const char *policy;
    /* the worst of row_pressure; swap alone and nodes that bind nobody do not count */
    enum ma_pressure pressure;
    struct ma_row rows[MA_ROWS_MAX]; /* the table that every ma_amounts of this plan speaks of */
    enum ma_pressure row_pressure[MA_ROWS_MAX];
    size_t n_rows;
    struct ma_amounts deficits; /* > 0 where short: whole MiB up, margin included */
    struct ma_amounts uncovered;
    struct ma_amounts uncovered_without_victims;
    uint64_t measured_deficit_bytes[MA_ROWS_MAX]; /* without projection and margin */
    /* The slope that demands are projected with: the estimate, or the last sample's where that shrinks less. */
    bool has_slope[MA_ROWS_MAX];
    int64_t slope_bytes_per_s[MA_ROWS_MAX];
    bool has_certificate;
    struct ma_certificate certificate;
    struct ma_settings settings;

    struct ma_plan_action *actions; /* in order of execution */
    size_t n_actions, max_actions;
    struct ma_candidate *candidates;
    size_t n_candidates, max_candidates;
    struct ma_option *options;
    size_t n_options, max_options;
    struct ma_trim *trims;
    size_t n_trims, max_trims;
};

size_t ma_plan_memory_size(size_t max_guests);
/* Lays the arrays out in memory (ma_plan_memory_size(max_guests) bytes, 16-byte aligned), all empty. NULL: a plan
 * that has room for nothing. */
void ma_plan_init(struct ma_plan *plan, void *memory, size_t max_guests);
/* Empties it for the next decision; keeps the memory. */
void ma_plan_reset(struct ma_plan *plan);
/* Index of the row in plan->rows, or -1. */
int ma_plan_row(const struct ma_plan *plan, enum ma_row_kind kind, uint16_t node);
/* The next free entry, zeroed, or NULL when full (then something is planned less, never wrongly). */
struct ma_plan_action *ma_plan_add_action(struct ma_plan *plan);
struct ma_option *ma_plan_add_option(struct ma_plan *plan); /* `frees` not zeroed */
struct ma_trim *ma_plan_add_trim(struct ma_plan *plan);
