/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* report-data.h - what a report is made of, gathered from a record in two passes. Its memory is bounded whatever the
 * record's length:
 *
 *  - the first pass (gather.c) counts, and keeps incidents, outcomes and guests, each up to a bound; what is beyond is
 *    counted;
 *  - the second (series.c, decisions in page.c) goes over the same lines again and thins them: calm samples and those of
 *    incidents are merged in groups of equal length, so that at most CALM + BUSY points are left. A group shows its sample
 *    with the least memory available, its worst state and its highest stall. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "formats.h"
#include "snapshot.h"

#define REPORT_CALM_POINTS    400U
#define REPORT_BUSY_POINTS    1000U
#define REPORT_INCIDENTS_MAX  200U
#define REPORT_OUTCOMES_MAX   20000U
#define REPORT_RETURNS_MAX    20000U
#define REPORT_DECISIONS_MAX  500U
#define REPORT_CANDIDATES_MAX 40U
#define REPORT_GUESTS_MAX     MA_GUESTS_MAX
#define REPORT_LAYERS_MAX     24U /* guests that have a colour; the rest is one layer */
#define REPORT_NAME_MAX       128U
#define REPORT_TEXT_MAX       96U
#define REPORT_REASON_MAX     48U
#define REPORT_REASONS_MAX    64U
#define REPORT_NO_GUEST       UINT32_MAX

struct report_options {
    const char *files[2]; /* older first; NULL: none */
    uint64_t since_usec;  /* CLOCK_REALTIME; 0: from the beginning */
    uint64_t until_usec;
};
struct report_guest {
    char uuid[MA_UUID_MAX];
    char name[REPORT_NAME_MAX];
    uint64_t peak_bytes; /* resident and huge pages */
    uint64_t last_bytes;
    uint64_t first_usec, last_usec;      /* seen */
    uint32_t n_actions[MA_ACTION_COUNT]; /* taken */
    uint32_t layer;                      /* REPORT_LAYERS_MAX: among the rest */
};
struct report_incident {
    uint64_t from_usec, to_usec; /* to: still going on at the record's end if is_open */
    bool is_open;
    enum ma_pressure worst;
    uint64_t least_available_bytes;
    uint32_t n_gentle, n_victims; /* taken */
};
struct report_outcome {
    uint64_t realtime_usec;
    char uuid[MA_UUID_MAX]; /* "": of the host */
    enum ma_action action;
    unsigned result; /* enum ma_outcome_result */
    uint64_t took_usec;
    char by[REPORT_TEXT_MAX]; /* and why; "": memarb itself */
    bool is_used;             /* stands beside its decision */
};
/* What was to come back of an action that was taken, and what came (returns.h). */
struct report_return {
    uint64_t realtime_usec; /* of the decision */
    char uuid[MA_UUID_MAX];
    enum ma_action action;
    uint64_t predicted_bytes; /* of host RAM */
    uint64_t held_bytes;      /* the guest, at the decision */
    uint64_t returned_bytes;
    bool is_known;    /* a later figure, or memarbd's word, says so */
    bool is_measured; /* memarbd's word: of the host's memory */
    bool is_open;     /* later figures still count */
};
/* Reasons with how often each kept something from being done as it was proposed. */
struct report_reason_count {
    char reason[REPORT_REASON_MAX];
    uint64_t n;
};
/* How much a decision is worth a place. */
enum report_weight { REPORT_PLANNED, REPORT_GENTLE, REPORT_VICTIM, REPORT_WEIGHTS };

struct report_data {
    const struct report_options *options;
    char host[MA_RECORD_TEXT_MAX];
    char version[MA_RECORD_TEXT_MAX];
    uint64_t first_usec, last_usec;            /* of lines within the options */
    uint64_t covers_from_usec, covers_to_usec; /* of the whole record */
    uint64_t n_lines, n_broken, n_starts;
    uint64_t n_cycles, n_busy, n_calm;
    uint64_t n_decisions[REPORT_WEIGHTS]; /* without repetitions */
    uint64_t n_taken[MA_ACTION_COUNT];    /* armed actions */
    uint64_t least_available_bytes;
    uint64_t total_bytes;
    struct ma_settings settings; /* latest, with watermarks */
    struct report_guest *guests; /* sorted by uuid */
    size_t n_guests;
    struct report_incident *incidents;
    size_t n_incidents;
    uint64_t n_cycles_left_out; /* of incidents beyond the bound */
    struct report_outcome *outcomes;
    size_t n_outcomes;
    uint64_t n_outcomes_left_out;
    struct report_return *returns; /* in order of time */
    size_t n_returns;
    size_t first_open_return;
    /* REPORT_REASONS_MAX of each, those of no use last */
    struct report_reason_count *withheld; /* planned actions not taken */
    struct report_reason_count *trimmed;  /* proposals that the guard cut */
};

/* A cycle of the record, borrowed for the call. */
struct report_cycle {
    uint64_t seq;
    uint64_t realtime_usec;
    const struct ma_snapshot *snapshot;
    const json_t *plan;
    const json_t *trims; /* what the guard took out of the plan, and what is withheld; NULL: none */
    enum ma_pressure pressure;
    bool is_new; /* its actions are others than the cycle's before, or one is armed */
    enum report_weight weight;
};
typedef void (*report_cycle_fn)(void *userdata, const struct report_cycle *cycle);

/* 0, or negative errno with err. Files that are missing are passed over unless all are. */
int report_gather(const struct report_options *options,
                  struct report_data *ret,
                  struct ma_err *err);
void report_data_fini(struct report_data *data);
/* Once more over what report_gather() saw. */
int report_each_cycle(const struct report_data *data,
                      report_cycle_fn each,
                      void *userdata,
                      struct ma_err *err);
/* Of REPORT_DECISIONS_MAX: victims first, then other actions that were taken, then plans. */
void report_deal_places(const struct report_data *data, uint64_t places[static REPORT_WEIGHTS]);
/* Index in data->guests, or REPORT_NO_GUEST. */
uint32_t report_find_guest(const struct report_data *data, const char *uuid);
/* The outcome of what was taken of a guest at that time, not yet given to another decision; NULL: none is known. */
struct report_outcome *report_outcome_of(struct report_data *data,
                                         const char *uuid,
                                         enum ma_action action,
                                         uint64_t realtime_usec);
