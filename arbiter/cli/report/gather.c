/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gather.c - the first pass. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cli.h"
#include "returns.h"
#include "walk.h"

/* An action leaves within this of its plan: a hook may hold it up for 30 s. */
#define LEAVES_WITHIN_USEC (35 * MA_USEC_PER_SEC)

static size_t guest_place(const struct report_data *data, const char *uuid, bool *ret_found) {
    size_t low = 0;
    size_t high = data->n_guests;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(data->guests[middle].uuid, uuid);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_found = false;
    return low;
}

uint32_t report_find_guest(const struct report_data *data, const char *uuid) {
    bool is_found;
    size_t at = guest_place(data, uuid, &is_found);
    return is_found ? (uint32_t) at : REPORT_NO_GUEST;
}

static struct report_guest *
guest_of(struct report_data *data, const struct ma_guest *guest, uint64_t now) {
    bool is_found;
    size_t at = guest_place(data, guest->uuid, &is_found);
    if (!is_found) {
        if (data->n_guests == REPORT_GUESTS_MAX || strlen(guest->uuid) >= MA_UUID_MAX) {
            return NULL;
        }
        memmove(&data->guests[at + 1], &data->guests[at],
                (data->n_guests - at) * sizeof(data->guests[0]));
        data->n_guests++;
        data->guests[at] = (struct report_guest){.first_usec = now, .layer = REPORT_LAYERS_MAX};
        (void) snprintf(data->guests[at].uuid, MA_UUID_MAX, "%s", guest->uuid);
    }
    return &data->guests[at];
}

static void see_guests(struct report_data *data, const struct report_cycle *cycle) {
    for (size_t i = 0; i < cycle->snapshot->n_guests; i++) {
        const struct ma_guest *g = &cycle->snapshot->guests[i];
        struct report_guest *guest = guest_of(data, g, cycle->realtime_usec);
        if (guest != NULL) {
            uint64_t held = ma_add_sat(g->resident_bytes, g->hugepage_bytes);
            guest->last_bytes = held;
            guest->peak_bytes = ma_max_u64(guest->peak_bytes, held);
            guest->last_usec = cycle->realtime_usec;
            (void) snprintf(guest->name, REPORT_NAME_MAX, "%s", g->name != NULL ? g->name : "");
        }
    }
}

static struct report_incident *open_incident(struct report_data *data) {
    struct report_incident *last =
        data->n_incidents > 0 ? &data->incidents[data->n_incidents - 1] : NULL;
    return last != NULL && last->is_open ? last : NULL;
}

static void see_incident(struct report_data *data, const struct report_cycle *cycle) {
    struct report_incident *incident = open_incident(data);
    uint64_t available = cycle->snapshot->host.available_bytes;
    if (incident == NULL && cycle->pressure == MA_PRESSURE_NORMAL) {
        return;
    }
    if (incident == NULL) {
        if (data->n_incidents == REPORT_INCIDENTS_MAX) {
            data->n_cycles_left_out++;
            return;
        }
        incident = &data->incidents[data->n_incidents++];
        *incident = (struct report_incident){
            .from_usec = cycle->realtime_usec, .is_open = true, .least_available_bytes = available};
    }
    incident->to_usec = cycle->realtime_usec;
    incident->is_open = cycle->pressure != MA_PRESSURE_NORMAL;
    incident->worst = cycle->pressure > incident->worst ? cycle->pressure : incident->worst;
    incident->least_available_bytes = ma_min_u64(incident->least_available_bytes, available);
}

static void see_actions(struct report_data *data, const struct report_cycle *cycle) {
    struct report_incident *incident = open_incident(data);
    const json_t *action;
    size_t i;
    json_array_foreach(json_object_get(cycle->plan, "actions"), i, action) {
        enum ma_action what = report_action_of(action);
        uint32_t guest = report_find_guest(data, ma_cli_text(action, "guest"));
        if (!ma_cli_bool(action, "armed") || what == MA_ACTION_COUNT || guest == REPORT_NO_GUEST) {
            continue;
        }
        data->n_taken[what]++;
        data->guests[guest].n_actions[what]++;
        if (incident != NULL && ma_action_is_victim(what)) {
            incident->n_victims++;
        } else if (incident != NULL) {
            incident->n_gentle++;
        }
    }
}

static void count_reason(struct report_reason_count *counts, const char *reason) {
    for (size_t i = 0; i < REPORT_REASONS_MAX; i++) {
        if (counts[i].n == 0) {
            (void) snprintf(counts[i].reason, REPORT_REASON_MAX, "%s", reason);
        }
        if (strncmp(counts[i].reason, reason, REPORT_REASON_MAX - 1) == 0) {
            counts[i].n++;
            return;
        }
    }
}

/* Of decisions alone: a plan that stands for minutes counts once. */
static void see_trims(struct report_data *data, const struct report_cycle *cycle) {
    const json_t *trim;
    size_t i;
    json_array_foreach(cycle->is_new ? cycle->trims : NULL, i, trim) {
        bool is_withheld = ma_cli_bool(trim, "withheld");
        count_reason(is_withheld ? data->withheld : data->trimmed, ma_cli_text(trim, "reason"));
    }
}

static void see_cycle(void *userdata, const struct report_cycle *cycle) {
    struct report_data *data = userdata;
    uint64_t available = cycle->snapshot->host.available_bytes;
    bool is_busy = cycle->pressure != MA_PRESSURE_NORMAL || cycle->is_new;
    if (data->n_cycles == 0) {
        data->first_usec = cycle->realtime_usec;
        data->least_available_bytes = available;
    }
    data->last_usec = cycle->realtime_usec;
    data->n_cycles++;
    data->n_busy += is_busy;
    data->n_calm += !is_busy;
    data->n_decisions[cycle->weight] += cycle->is_new;
    data->least_available_bytes = ma_min_u64(data->least_available_bytes, available);
    data->total_bytes = cycle->snapshot->host.total_bytes;
    data->settings = cycle->snapshot->settings;
    see_guests(data, cycle);
    see_incident(data, cycle);
    see_actions(data, cycle);
    report_returns_see(data, cycle);
    see_trims(data, cycle);
}

static void see_outcome(void *userdata, const struct ma_record_line *line, const json_t *outcome) {
    struct report_data *data = userdata;
    const struct ma_record_outcome *said = &line->outcome;
    if (said->n_measured > 0 && report_return_measured(data, said)) {
        return;
    }
    if (data->n_outcomes == REPORT_OUTCOMES_MAX) {
        data->n_outcomes_left_out++;
        return;
    }
    struct report_outcome *to = &data->outcomes[data->n_outcomes++];
    *to = (struct report_outcome){.realtime_usec = line->realtime_usec,
                                  .action = said->action,
                                  .result = said->result,
                                  .took_usec = said->took_usec};
    (void) snprintf(to->uuid, sizeof(to->uuid), "%s", said->uuid);
    if (ma_cli_has(outcome, "by")) {
        (void) snprintf(to->by, sizeof(to->by), "%.30s: %.60s", ma_cli_text(outcome, "by"),
                        ma_cli_text(outcome, "because"));
    }
}

static void see_header(void *userdata, const struct ma_record_header *header) {
    struct report_data *data = userdata;
    data->n_starts++;
    memcpy(data->host, header->host, sizeof(data->host));
    memcpy(data->version, header->memarb, sizeof(data->version));
}

static void see_time(void *userdata, uint64_t realtime_usec) {
    struct report_data *data = userdata;
    data->n_lines++;
    if (data->covers_from_usec == 0 || realtime_usec < data->covers_from_usec) {
        data->covers_from_usec = realtime_usec;
    }
    data->covers_to_usec = ma_max_u64(data->covers_to_usec, realtime_usec);
}

static void see_broken(void *userdata) {
    ((struct report_data *) userdata)->n_broken++;
}

/* The largest get a colour of their own, the largest first. */
static void deal_layers(struct report_data *data) {
    for (uint32_t layer = 0; layer < REPORT_LAYERS_MAX && layer < data->n_guests; layer++) {
        struct report_guest *largest = NULL;
        for (size_t i = 0; i < data->n_guests; i++) {
            struct report_guest *guest = &data->guests[i];
            if (guest->layer == REPORT_LAYERS_MAX &&
                (largest == NULL || guest->peak_bytes > largest->peak_bytes)) {
                largest = guest;
            }
        }
        if (largest != NULL) {
            largest->layer = layer;
        }
    }
}

int report_gather(const struct report_options *options,
                  struct report_data *ret,
                  struct ma_err *err) {
    struct report_data data = {.options = options};
    data.guests = calloc(REPORT_GUESTS_MAX, sizeof(data.guests[0]));
    data.incidents = calloc(REPORT_INCIDENTS_MAX, sizeof(data.incidents[0]));
    data.outcomes = calloc(REPORT_OUTCOMES_MAX, sizeof(data.outcomes[0]));
    data.returns = calloc(REPORT_RETURNS_MAX, sizeof(data.returns[0]));
    struct report_walker walker = {.from_usec = options->since_usec,
                                   .to_usec = options->until_usec,
                                   .on_cycle = see_cycle,
                                   .on_header = see_header,
                                   .on_outcome = see_outcome,
                                   .on_time = see_time,
                                   .on_broken = see_broken,
                                   .userdata = &data};
    data.withheld = calloc(REPORT_REASONS_MAX, sizeof(data.withheld[0]));
    data.trimmed = calloc(REPORT_REASONS_MAX, sizeof(data.trimmed[0]));
    int r = data.guests == NULL || data.incidents == NULL || data.outcomes == NULL ||
                    data.returns == NULL || data.withheld == NULL || data.trimmed == NULL
                ? ma_err_set(err, -ENOMEM, "out of memory")
                : report_walk(options, &walker, err);
    if (r < 0) {
        report_data_fini(&data);
        return r;
    }
    deal_layers(&data);
    *ret = data;
    return 0;
}

void report_data_fini(struct report_data *data) {
    free(data->guests);
    free(data->incidents);
    free(data->outcomes);
    free(data->returns);
    free(data->withheld);
    free(data->trimmed);
    *data = (struct report_data){0};
}

int report_each_cycle(const struct report_data *data,
                      report_cycle_fn each,
                      void *userdata,
                      struct ma_err *err) {
    struct report_walker walker = {.from_usec = data->first_usec,
                                   .to_usec = data->last_usec,
                                   .on_cycle = each,
                                   .userdata = userdata};
    return report_walk(data->options, &walker, err);
}

void report_deal_places(const struct report_data *data, uint64_t places[static REPORT_WEIGHTS]) {
    uint64_t left = REPORT_DECISIONS_MAX;
    for (unsigned weight = REPORT_WEIGHTS; weight-- > 0;) {
        places[weight] = ma_min_u64(left, data->n_decisions[weight]);
        left -= places[weight];
    }
}

struct report_outcome *report_outcome_of(struct report_data *data,
                                         const char *uuid,
                                         enum ma_action action,
                                         uint64_t realtime_usec) {
    for (size_t i = 0; i < data->n_outcomes; i++) {
        struct report_outcome *outcome = &data->outcomes[i];
        if (!outcome->is_used && outcome->action == action &&
            outcome->realtime_usec >= realtime_usec &&
            ma_sub_floor0(outcome->realtime_usec, outcome->took_usec) <=
                ma_add_sat(realtime_usec, LEAVES_WITHIN_USEC) &&
            strcmp(outcome->uuid, uuid) == 0) {
            outcome->is_used = true;
            return outcome;
        }
    }
    return NULL;
}
