/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "observe.h"

#include <string.h>

#include "bytes.h"
#include "need.h"

/* A decision later than this after the last is one that something kept us from: figures and plans of before are
 * not to be trusted with a life (P13). Too small: every hiccup costs a quiet time; too large: a host that stalled
 * for seconds gets a victim on figures from before. From the 1 s period at rest. */
#define LATE_TICK_USEC (UINT64_C(3) * MA_USEC_PER_SEC)
/* ... and more than this many times the gap before: a caller whose period is long is not late every time. */
#define LATE_TICK_FACTOR 2

void ma_observe_time(struct ma_state *state, uint64_t now_usec) {
    uint64_t gap = ma_sub_floor0(now_usec, state->last_tick_usec);

    if (state->last_tick_usec == 0) {
        state->last_tick_usec = now_usec;
        return;
    }
    if (now_usec < state->last_tick_usec) {
        state->quiet_from_usec = ma_max_u64(now_usec, 1); /* the clock jumped back */
    } else if (gap > LATE_TICK_USEC && state->last_gap_usec > 0 &&
               gap > ma_mul_sat(state->last_gap_usec, LATE_TICK_FACTOR)) {
        state->quiet_from_usec = now_usec;
    }
    state->last_gap_usec = gap;
    state->last_tick_usec = now_usec;
}

static struct ma_pressure_state *find_pressure(struct ma_state *state, const struct ma_row *row) {
    for (size_t k = 0; k < state->n_pressures; k++) {
        if (ma_row_equal(&state->pressures[k].row, row)) {
            return &state->pressures[k];
        }
    }
    return NULL;
}

/* Lets state->pressures speak of exactly these rows, in this order; what was known of a row is kept. */
static void align_pressures(struct ma_state *state, const struct ma_row *rows, size_t n) {
    struct ma_pressure_state aligned[MA_ROWS_MAX];

    for (size_t d = 0; d < n; d++) {
        const struct ma_pressure_state *known = find_pressure(state, &rows[d]);

        if (known != NULL) {
            aligned[d] = *known;
        } else {
            ma_pressure_init(&aligned[d], &rows[d]);
        }
    }
    memcpy(state->pressures, aligned, n * sizeof(aligned[0]));
    state->n_pressures = n;
}

/* An average still falls when the fall has ended, and would ask for a life that nobody needs any more: the last
 * sample's own slope bounds it. */
static void set_slope(const struct ma_resource *resource,
                      const struct ma_pressure_state *before,
                      const struct ma_pressure_state *after,
                      struct ma_plan *plan,
                      size_t d) {
    uint64_t elapsed = ma_sub_floor0(after->last_sample_usec, before->last_sample_usec);
    int64_t change = ma_delta_i64(resource->available_bytes, before->last_available_bytes);
    int64_t slope = resource->has_slope ? resource->slope_bytes_per_s : after->slope_bytes_per_s;

    plan->has_slope[d] = resource->has_slope || after->has_slope;
    if (before->last_sample_usec != 0 && elapsed > 0 && slope < 0) {
        __int128 latest = (__int128) change * (int64_t) MA_USEC_PER_SEC / (int64_t) elapsed;

        slope = latest > slope ? (int64_t) (latest < 0 ? latest : 0) : slope;
    }
    plan->slope_bytes_per_s[d] = slope;
}

/* What all guests take together; 0 where they do not. */
static int64_t growth_of_all(const struct ma_snapshot *snapshot) {
    int64_t sum = 0;

    for (size_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_guest *guest = &snapshot->guests[i];

        sum = (guest->has & MA_GUEST_HAS_GROWTH) != 0
                  ? ma_add_sat_i64(sum, guest->growth_bytes_per_s)
                  : sum;
    }
    return ma_max_i64(sum, 0);
}

/* Where nothing is left, and nothing was, a fall shows no more: a budget that is overdrawn ends at 0 (docs/adr/0006).
 * Then the guests' own growth is what is lost, or stopping the one that grows would count for nothing. */
static void set_blind_slope(const struct ma_snapshot *snapshot,
                            const struct ma_pressure_state *before,
                            struct ma_plan *plan,
                            size_t d) {
    bool is_blind = plan->rows[d].kind == MA_ROW_RAM && snapshot->host.available_bytes == 0 &&
                    before->last_sample_usec != 0 && before->last_available_bytes == 0;
    int64_t growth = is_blind ? growth_of_all(snapshot) : 0;

    if (growth > 0) {
        plan->slope_bytes_per_s[d] = ma_min_i64(plan->slope_bytes_per_s[d], -growth);
        plan->has_slope[d] = true;
    }
}

static void observe_row(const struct ma_snapshot *snapshot,
                        bool is_single_snapshot,
                        struct ma_state *state,
                        struct ma_plan *plan,
                        size_t d) {
    struct ma_resource resource;
    struct ma_pressure_state before = state->pressures[d];
    struct ma_pressure_input input;

    ma_need_resource(snapshot, &plan->rows[d], &resource);
    input = (struct ma_pressure_input){
        .now_usec = snapshot->taken_at_usec,
        .available_bytes = resource.available_bytes,
        .has_slope = resource.has_slope,
        .slope_bytes_per_s = resource.slope_bytes_per_s,
        .soft_bytes = resource.soft_bytes,
        .hard_bytes = resource.hard_bytes,
        .critical_bytes = resource.critical_bytes,
        .psi = plan->rows[d].kind == MA_ROW_RAM ? &snapshot->host.pressure : NULL,
        .is_single_sample = is_single_snapshot,
    };
    plan->row_pressure[d] = ma_pressure_step(&state->pressures[d], &input);
    set_slope(&resource, &before, &state->pressures[d], plan, d);
    set_blind_slope(snapshot, &before, plan, d);
    plan->measured_deficit_bytes[d] =
        ma_sub_floor0(resource.reserve_bytes, resource.available_bytes);
}

/* Ram that is gone before gentle actions have landed is a row of its own: only what comes back until then counts. It has
 * ram's state and slope; it stands in no memory, as its time is another in each plan. */
static void add_deadline_row(const struct ma_snapshot *snapshot, struct ma_plan *plan) {
    int ram = ma_plan_row(plan, MA_ROW_RAM, 0);
    uint32_t within_ms;
    size_t d = plan->n_rows;

    if (ram < 0 || d >= MA_ROWS_MAX || plan->row_pressure[ram] != MA_PRESSURE_CRITICAL) {
        return;
    }
    within_ms =
        ma_need_deadline_ms(snapshot, plan->has_slope[ram] ? plan->slope_bytes_per_s[ram] : 0);
    if (within_ms == 0) {
        return;
    }
    plan->rows[d] = (struct ma_row){.kind = MA_ROW_RAM, .within_ms = within_ms};
    plan->row_pressure[d] = plan->row_pressure[ram];
    plan->has_slope[d] = true;
    plan->slope_bytes_per_s[d] = plan->slope_bytes_per_s[ram];
    plan->n_rows++;
}

static void observe_incident(struct ma_state *state, enum ma_pressure pressure, uint64_t now_usec) {
    if (pressure == MA_PRESSURE_NORMAL) {
        state->in_incident = false;
        state->victims_in_incident = 0;
        return;
    }
    if (!state->in_incident) {
        state->in_incident = true;
        state->incident_since_usec = now_usec;
        state->victims_in_incident = 0;
    }
}

/* Both tables are sorted by uuid: *at walks through the state's. */
static struct ma_guest_memory *memory_of(struct ma_state *state, const char *uuid, size_t *at) {
    int order = -1;

    while (*at < state->n_guests && (order = strcmp(state->guests[*at].uuid, uuid)) < 0) {
        (*at)++;
    }
    return *at < state->n_guests && order == 0 ? &state->guests[*at] : ma_state_get(state, uuid);
}

static void observe_guests(const struct ma_snapshot *snapshot, struct ma_state *state) {
    size_t at = 0;

    for (size_t i = 0; i < snapshot->n_guests; i++) {
        struct ma_guest_memory *memory = memory_of(state, snapshot->guests[i].uuid, &at);

        /* A full table: a guest without memory is never moved beyond what one snapshot justifies. */
        if (memory != NULL) {
            ma_observe_guest(snapshot, &snapshot->guests[i], memory);
        }
    }
    if (state->n_guests > snapshot->n_guests) {
        ma_state_prune(state, snapshot->taken_at_usec);
    }
}

void ma_observe(const struct ma_snapshot *snapshot,
                bool is_single_snapshot,
                struct ma_state *state,
                struct ma_plan *plan) {
    ma_observe_time(state, snapshot->taken_at_usec);
    plan->settings = snapshot->settings;
    plan->n_rows = ma_need_rows(snapshot, plan->rows);
    align_pressures(state, plan->rows, plan->n_rows);
    for (size_t d = 0; d < plan->n_rows; d++) {
        observe_row(snapshot, is_single_snapshot, state, plan, d);
    }
    add_deadline_row(snapshot, plan);
    plan->pressure = ma_need_pressure(snapshot, plan);
    observe_incident(state, plan->pressure, snapshot->taken_at_usec);
    observe_guests(snapshot, state);
    ma_observe_pending(snapshot, state, ma_need_time_left_usec(snapshot, plan));
    state->seq++;
}
