/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "print-json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "actuator.h"
#include "bytes.h"
#include "cli.h"
#include "returns.h"
#include "walk.h"

struct decisions {
    struct report_data *data;
    json_t *list;
    uint64_t places[REPORT_WEIGHTS]; /* left for decisions of that weight */
};

static json_t *incident_json(const struct report_incident *incident) {
    return json_pack("{s:I, s:I, s:b, s:s, s:I, s:i, s:i}", "from_realtime_usec",
                     (json_int_t) incident->from_usec, "to_realtime_usec",
                     (json_int_t) incident->to_usec, "open", (int) incident->is_open, "worst",
                     ma_pressure_name(incident->worst), "least_available_bytes",
                     (json_int_t) incident->least_available_bytes, "gentle",
                     (int) incident->n_gentle, "victims", (int) incident->n_victims);
}

static void set_number(json_t *object, const char *name, uint64_t value) {
    (void) json_object_set_new(object, name, json_integer((json_int_t) value));
}

static void add_outcome(json_t *to, struct report_data *data, const struct report_cycle *cycle) {
    const char *uuid = ma_cli_text(to, "guest");
    enum ma_action what = report_action_of(to);
    const struct report_outcome *outcome =
        report_outcome_of(data, uuid, what, cycle->realtime_usec);
    const struct report_return *back = report_return_of(data, uuid, cycle->realtime_usec);
    if (outcome != NULL) {
        (void) json_object_set_new(
            to, "result", json_string(ma_outcome_name((enum ma_outcome_result) outcome->result)));
        set_number(to, "took_usec", outcome->took_usec);
    }
    if (back != NULL && back->action == what) {
        set_number(to, "predicted_bytes", back->predicted_bytes);
        if (back->is_known) {
            set_number(to, "returned_bytes", back->returned_bytes);
            (void) json_object_set_new(to, "returned_by",
                                       json_string(back->is_measured ? "host" : "guest"));
        }
    }
}

/* The plan's action as it stands in the record, and what came of it. */
static json_t *action_json(struct report_data *data,
                           const struct report_cycle *cycle,
                           const json_t *action,
                           size_t *at_withheld) {
    json_t *to = json_copy((json_t *) (uintptr_t) action);
    if (ma_cli_bool(action, "armed")) {
        add_outcome(to, data, cycle);
        return to;
    }
    const json_t *withheld = ma_cli_next_withheld(cycle->trims, at_withheld);
    if (withheld != NULL) {
        (void) json_object_set_new(to, "withheld_because",
                                   json_string(ma_cli_text(withheld, "reason")));
    }
    return to;
}

static void on_cycle(void *userdata, const struct report_cycle *cycle) {
    struct decisions *decisions = userdata;
    json_t *actions = json_array();
    json_t *trims = json_array();
    size_t at = 0;
    size_t i;
    json_t *value;
    if (!cycle->is_new || decisions->places[cycle->weight] == 0) {
        json_decref(actions);
        json_decref(trims);
        return;
    }
    decisions->places[cycle->weight]--;
    json_array_foreach(json_object_get(cycle->plan, "actions"), i, value) {
        (void) json_array_append_new(actions, action_json(decisions->data, cycle, value, &at));
    }
    json_array_foreach(cycle->trims, i, value) {
        if (!ma_cli_bool(value, "withheld")) {
            (void) json_array_append(trims, value);
        }
    }
    (void) json_array_append_new(
        decisions->list,
        json_pack("{s:I, s:I, s:s, s:o, s:o}", "realtime_usec", (json_int_t) cycle->realtime_usec,
                  "seq", (json_int_t) cycle->seq, "state", ma_pressure_name(cycle->pressure),
                  "actions", actions, "trims", trims));
}

static json_t *taken_json(const struct report_data *data) {
    json_t *actions = json_object();
    for (unsigned action = 0; action < MA_ACTION_COUNT; action++) {
        if (data->n_taken[action] > 0) {
            set_number(actions, ma_action_name((enum ma_action) action), data->n_taken[action]);
        }
    }
    return actions;
}

static json_t *reasons_json(const struct report_reason_count *counts) {
    json_t *reasons = json_object();
    for (size_t i = 0; i < REPORT_REASONS_MAX && counts[i].n > 0; i++) {
        set_number(reasons, counts[i].reason, counts[i].n);
    }
    return reasons;
}

static json_t *incidents_json(const struct report_data *data) {
    json_t *incidents = json_array();
    for (size_t i = 0; i < data->n_incidents; i++) {
        (void) json_array_append_new(incidents, incident_json(&data->incidents[i]));
    }
    return incidents;
}

static json_t *report_json_of(const struct report_data *data, json_t *decisions) {
    json_t *report =
        json_pack("{s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "host",
                  data->host[0] != '\0' ? data->host : NULL, "from_realtime_usec",
                  (json_int_t) data->first_usec, "to_realtime_usec", (json_int_t) data->last_usec,
                  "cycles", (json_int_t) data->n_cycles, "broken", (json_int_t) data->n_broken,
                  "starts", (json_int_t) data->n_starts, "guests", (json_int_t) data->n_guests,
                  "least_available_bytes", (json_int_t) data->least_available_bytes, "taken",
                  taken_json(data), "incidents", incidents_json(data));
    uint64_t n_decisions = 0;
    for (unsigned weight = 0; weight < REPORT_WEIGHTS; weight++) {
        n_decisions = ma_add_sat(n_decisions, data->n_decisions[weight]);
    }
    set_number(report, "decisions_left_out",
               ma_sub_floor0(n_decisions, json_array_size(decisions)));
    (void) json_object_set_new(report, "withheld", reasons_json(data->withheld));
    (void) json_object_set_new(report, "trimmed", reasons_json(data->trimmed));
    (void) json_object_set(report, "decisions", decisions);
    return report;
}

int report_print_json(struct report_data *data) {
    struct ma_err err = {0};
    struct decisions decisions = {.data = data, .list = json_array()};
    report_deal_places(data, decisions.places);
    if (report_each_cycle(data, on_cycle, &decisions, &err) < 0) {
        json_decref(decisions.list);
        return ma_cli_fail(MA_EXIT_ERROR, "%s", err.message);
    }
    json_t *report = report_json_of(data, decisions.list);
    int result = report != NULL && json_dumpf(report, stdout, JSON_COMPACT) == 0 &&
                         putchar('\n') != EOF && fflush(stdout) == 0
                     ? MA_EXIT_OK
                     : ma_cli_fail(MA_EXIT_ERROR, "cannot write the report");
    json_decref(report);
    json_decref(decisions.list);
    return result;
}
