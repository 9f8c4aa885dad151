/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* keep.c - after a cycle: the view for readers, the line for the record. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents.h"
#include "bytes.h"
#include "daemon.h"
#include "json-write.h"

/* Into the room that is left at `to`, at most MA_LIMIT_COUNT; most guests have none. */
static void
fill_view_limits(const struct ma_tracked *t, struct ma_view_limit *to, struct ma_view_guest *v) {
    v->limits = to;
    for (unsigned i = 0; i < MA_LIMIT_COUNT; i++) {
        const struct ma_tracked_limit *item = &t->limits.items[i];
        const struct ma_limit_record *record = t->limits.record;
        bool is_ours = record != NULL && record->entries[i].is_ours;
        if (!item->want.is_wanted && item->want.note == MA_LIMIT_NOTE_NONE && !is_ours) {
            continue;
        }
        to[v->n_limits++] = (struct ma_view_limit){
            .limit = (enum ma_limit) i,
            .has_now = item->has_now,
            .is_ours = is_ours,
            .asked = item->want.value,
            .now_value = item->now_value,
            .before = is_ours ? record->entries[i].before : item->now_value,
            .note = item->note,
        };
    }
}

static void fill_view_guest(const struct ma_daemon *d,
                            const struct ma_guest *g,
                            const struct ma_tracked *t,
                            const struct ma_guest_memory *memory,
                            struct ma_view_guest *v) {
    memset(v, 0, sizeof(*v));
    if (t != NULL) {
        v->pid = t->process.pid;
        v->is_on_libvirt = t->is_on_libvirt;
        v->is_on_qmp = d->qmp != NULL && t->is_on_qmp;
        v->is_stuck = t->is_stuck;
        v->agent = ma_agents_state(d, t, d->snapshot.taken_at_usec);
        v->agent_says = ma_disagreement_name(t->agent.disagreement);
        v->held_until_usec = t->held_until_usec;
        v->has_config_origin = true;
        v->config_from_rules = t->config.from_rules | (g->config.has & ~t->config.config.has);
        v->cgroup = t->limits.checked_usec != 0 ? ma_cgroup_lack_name(t->limits.lack) : NULL;
        v->problem = t->config.problem[0] != '\0' ? t->config.problem : NULL;
    }
    if (t != NULL && t->pins.is_judged) {
        v->pins = (struct ma_view_guest_pins){
            .is_judged = true,
            .verdict = t->pins.verdict,
            .account_bytes = t->pins.account_bytes,
            .has_memlock = t->pins.has_memlock,
            .memlock_soft_bytes = t->pins.memlock.soft_bytes,
            .memlock_hard_bytes = t->pins.memlock.hard_bytes,
        };
    }
    if (memory != NULL) {
        v->taken = memory->taken;
        v->balloon_before_bytes = memory->balloon_before_bytes;
        v->balloon_ours_bytes = memory->balloon_ours_bytes;
        v->paused_since_usec = memory->paused_since_usec;
        v->veto_until_usec = memory->veto_until_usec;
        v->cooperation = memory->cooperation;
        v->rate_bytes_per_s = memory->rate_bytes_per_s;
    }
}

static void fill_view_guests(struct ma_daemon *d) {
    size_t next_tracked = 0;
    size_t next_memory = 0;
    size_t n_limits = 0;
    for (size_t i = 0; i < d->snapshot.n_guests; i++) {
        const struct ma_guest *g = &d->snapshot.guests[i];
        struct ma_view_guest *v = &d->view_guests[i];
        const struct ma_tracked *t = ma_guests_find_next(&d->guests, g->uuid, &next_tracked);
        fill_view_guest(d, g, t, ma_state_find_next(&d->state, g->uuid, &next_memory), v);
        if (t != NULL) {
            fill_view_limits(t, &d->view_limits[n_limits], v);
            n_limits += v->n_limits;
        }
    }
}

static uint64_t time_left(const struct ma_daemon *d, const struct ma_row *row) {
    for (size_t i = 0; i < d->state.n_pressures; i++) {
        if (ma_row_equal(&d->state.pressures[i].row, row)) {
            return ma_pressure_time_left_usec(&d->state.pressures[i]);
        }
    }
    return MA_USEC_INFINITY;
}

void ma_keep_publish(struct ma_daemon *d, uint64_t now_usec) {
    fill_view_guests(d);
    uint64_t quiet_from = ma_max_u64(d->state.started_usec, d->state.quiet_from_usec);
    uint64_t quiet_until = quiet_from != 0 ? quiet_from + d->settings.quiet_usec : 0;
    struct ma_view view = {
        .seq = d->state.seq,
        .published_usec = now_usec,
        .published_realtime_usec = ma_realtime_usec(),
        .snapshot = d->snapshot,
        .plan = d->plan,
        .guests = d->view_guests,
        .pins = d->pins.totals,
        .started_usec = d->started_usec,
        .arm = ma_daemon_arm(d),
        .is_arm_override = d->has_arm_override,
        .is_dry_run = ma_daemon_is_dry_run(d),
        .disarmed_actions = d->state.disarmed_actions,
        .in_incident = d->state.in_incident,
        .incident_since_usec = d->state.incident_since_usec,
        .victims_in_incident = d->state.victims_in_incident,
        .quiet_until_usec = quiet_until > now_usec ? quiet_until : 0,
        .pending = d->state.pending,
        .is_libvirt_wanted = d->libvirt != NULL,
        .is_libvirt_connected = d->is_libvirt_connected,
        .n_qmp_peers = d->qmp != NULL ? (uint32_t) ma_qmp_source_n_peers(d->qmp) : 0,
        .host_meaning = ma_host_meaning_name(d->host.meaning),
        .cgroup_layout = ma_cgroup_layout_name(d->host.cgroup_root.layout),
        .psi_window_usec = d->host.trigger.fd >= 0 ? d->host.trigger.window_usec : 0,
        .tick_usec = d->tick_usec,
        .admission_mode = d->config->admission.mode,
        .kernel_kills = d->oom.n_guests_killed,
        .n_reservations = (uint32_t) d->reservations.n,
        .counters = d->counters,
    };
    ma_commitments_of(&d->snapshot, &d->reservations, NULL, &view.commitments);
    for (size_t i = 0; i < d->reservations.n; i++) {
        view.held_bytes = ma_add_sat(
            view.held_bytes, ma_reservation_left_bytes(&d->reservations.items[i], &d->snapshot));
    }
    for (size_t i = 0; i < d->plan.n_rows && i < MA_ROWS_MAX; i++) {
        view.time_left_usec[i] = time_left(d, &d->plan.rows[i]);
    }
    if (ma_publish(d->publisher, &view) < 0) {
        ma_log(MA_LOG_DEBUG, "no memory for a new view; readers keep the old one");
    }
}

/* Cycles worth keeping: something was planned or changed; during an incident one a second; at rest one now and then,
 * so that a replay has what came before. */
static bool is_worth_a_line(const struct ma_daemon *d, uint64_t now_usec) {
    uint64_t since = ma_sub_floor0(now_usec, d->recorded_usec);
    bool is_armed_action = false;
    for (size_t i = 0; i < d->plan.n_actions; i++) {
        /* "exhausted" is a state, and may stand for hours: it is no action on a guest */
        is_armed_action =
            is_armed_action || (d->plan.actions[i].is_armed && d->plan.actions[i].has_guest);
    }
    bool is_turn = d->state.in_incident != d->state_before.in_incident ||
                   d->state.pending.is_pending != d->state_before.pending.is_pending;
    if (is_armed_action || is_turn || d->recorded_usec == 0) {
        return true;
    }
    bool is_lively = d->state.in_incident || d->plan.n_actions > 0;
    return since >= (is_lively ? MA_USEC_PER_SEC : d->config->record.idle_interval_usec);
}

static void hand_over(struct ma_daemon *d, const struct ma_json *json) {
    char *copy = json->is_truncated ? NULL : malloc(json->len + 1);
    if (copy != NULL) {
        memcpy(copy, d->json_buf, json->len + 1);
        (void) ma_writer_record(d->writer, copy, json->len); /* a drop is counted there */
    }
}

static bool is_any_withheld(const struct ma_plan *plan) {
    for (size_t k = 0; k < plan->n_actions; k++) {
        if (!plan->actions[k].is_armed) {
            return true;
        }
    }
    return false;
}

void ma_keep_record(struct ma_daemon *d, uint64_t now_usec) {
    if (d->config->record.directory[0] == '\0' || !is_worth_a_line(d, now_usec)) {
        return;
    }
    struct ma_json json;
    ma_json_init(&json, d->json_buf, d->json_size);
    ma_json_object(&json, NULL);
    ma_json_u64(&json, "seq", d->state.seq);
    ma_json_u64(&json, "realtime_usec", ma_realtime_usec());
    ma_json_snapshot(&json, "snapshot", &d->snapshot);
    ma_json_state(&json, "state_before", &d->state_before);
    ma_json_plan(&json, "plan", &d->plan, &d->snapshot);
    if (d->plan.n_trims > 0 || is_any_withheld(&d->plan)) {
        ma_json_trims(&json, "trims", &d->plan, &d->snapshot);
    }
    ma_json_end_object(&json);
    hand_over(d, &json);
    d->recorded_usec = now_usec;
    for (size_t i = 0; i < d->n_not_taken; i++) {
        ma_keep_record_outcome(d, &d->not_taken[i]);
    }
    d->n_not_taken = 0;
}

/* False: no record is kept. Otherwise ends with end_outcome(). */
static bool begin_outcome(struct ma_daemon *d,
                          enum ma_action action,
                          const char *uuid,
                          enum ma_outcome_result result,
                          struct ma_json *json) {
    if (d->config->record.directory[0] == '\0') {
        return false;
    }
    ma_json_init(json, d->json_buf, d->json_size);
    ma_json_object(json, NULL);
    ma_json_u64(json, "seq", d->state.seq);
    ma_json_u64(json, "realtime_usec", ma_realtime_usec());
    ma_json_object(json, "outcome");
    ma_json_string(json, "action", ma_action_name(action));
    ma_json_string(json, "guest", uuid);
    ma_json_string(json, "result", ma_outcome_name(result));
    return true;
}

static void end_outcome(struct ma_daemon *d, struct ma_json *json) {
    ma_json_end_object(json);
    ma_json_end_object(json);
    hand_over(d, json);
}

void ma_keep_record_by(struct ma_daemon *d,
                       const struct ma_outcome *outcome,
                       const char *by,
                       const char *because) {
    struct ma_json json;
    if (begin_outcome(d, outcome->action, outcome->uuid, outcome->result, &json)) {
        ma_json_string(&json, "by", by);
        ma_json_string(&json, "because", because);
        end_outcome(d, &json);
    }
}

/* An outcome of nothing that memarb did: "kill", "gone", and by whom. */
void ma_keep_record_kernel_kill(struct ma_daemon *d, const char *uuid, const char *verdict) {
    struct ma_outcome outcome = {.action = MA_ACTION_KILL, .result = MA_OUTCOME_GONE};
    (void) snprintf(outcome.uuid, sizeof(outcome.uuid), "%s", uuid);
    ma_keep_record_by(d, &outcome, "kernel", verdict);
}

void ma_keep_record_outcome(struct ma_daemon *d, const struct ma_outcome *outcome) {
    const char *uuid = outcome->uuid[0] != '\0' ? outcome->uuid : NULL;
    struct ma_json json;
    if (begin_outcome(d, outcome->action, uuid, outcome->result, &json)) {
        ma_json_u64(&json, "took_usec", outcome->took_usec);
        end_outcome(d, &json);
    }
}

static void write_ram(struct ma_json *json, const char *key, uint64_t bytes) {
    ma_json_object(json, key);
    ma_json_u64(json, "ram", bytes);
    ma_json_end_object(json);
}

void ma_keep_record_measured(struct ma_daemon *d,
                             const struct ma_pending_victim *victim,
                             uint64_t gained_bytes) {
    struct ma_json json;
    if (begin_outcome(d, victim->action, victim->uuid[0], MA_OUTCOME_DONE, &json)) {
        write_ram(&json, "predicted", victim->predicted_bytes);
        write_ram(&json, "measured", gained_bytes);
        ma_json_u64(&json, "took_usec",
                    ma_sub_floor0(d->snapshot.taken_at_usec, victim->taken_usec));
        end_outcome(d, &json);
    }
}
