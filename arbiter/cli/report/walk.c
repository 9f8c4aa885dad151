/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "walk.h"

#include <string.h>

#include "bytes.h"
#include "cli.h"
#include "read.h"

struct walk {
    const struct report_walker *walker;
    uint64_t signature; /* of the last plan; 0: it had no action */
    uint64_t realtime_usec;
};

/* FNV-1a, 64 bits. */
#define FNV_START UINT64_C(0xCBF29CE484222325)
#define FNV_PRIME UINT64_C(0x100000001B3)

static uint64_t mix(uint64_t hash, const char *text) {
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char) *text) * FNV_PRIME;
    }
    return (hash ^ 0xFF) * FNV_PRIME;
}

enum ma_action report_action_of(const json_t *action) {
    int found = ma_action_from_name(ma_cli_text(action, "action"));
    return found < 0 ? MA_ACTION_COUNT : (enum ma_action) found;
}

static void judge(struct walk *walk, struct report_cycle *cycle) {
    const json_t *actions = json_object_get(cycle->plan, "actions");
    const json_t *action;
    size_t i;
    uint64_t signature = FNV_START;
    cycle->weight = REPORT_PLANNED;
    json_array_foreach(actions, i, action) {
        bool is_armed = ma_cli_bool(action, "armed");
        signature = mix(signature, ma_cli_text(action, "guest"));
        signature = mix(signature, ma_cli_text(action, "action"));
        if (is_armed && ma_action_is_victim(report_action_of(action))) {
            cycle->weight = REPORT_VICTIM;
        } else if (is_armed && cycle->weight == REPORT_PLANNED) {
            cycle->weight = REPORT_GENTLE;
        }
    }
    signature = json_array_size(actions) > 0 ? signature | 1 : 0;
    cycle->is_new =
        cycle->weight != REPORT_PLANNED || (signature != 0 && signature != walk->signature);
    walk->signature = signature;
}

static enum ma_pressure pressure_of(const json_t *plan) {
    const char *state = ma_cli_text(plan, "state");
    for (enum ma_pressure p = MA_PRESSURE_SOFT; p < MA_PRESSURE_COUNT; p++) {
        if (strcmp(state, ma_pressure_name(p)) == 0) {
            return p;
        }
    }
    return MA_PRESSURE_NORMAL;
}

static void on_cycle(struct walk *walk, const struct ma_record_line *record) {
    json_t *plan = json_loadb(record->cycle.plan_text, record->cycle.plan_len, 0, NULL);
    json_t *trims = record->cycle.trims_text != NULL
                        ? json_loadb(record->cycle.trims_text, record->cycle.trims_len, 0, NULL)
                        : NULL;
    struct report_cycle cycle = {.seq = record->seq,
                                 .realtime_usec = walk->realtime_usec,
                                 .snapshot = &record->cycle.snapshot->snapshot,
                                 .plan = plan,
                                 .trims = trims,
                                 .pressure = pressure_of(plan)};
    if (plan != NULL) {
        judge(walk, &cycle);
        walk->walker->on_cycle(walk->walker->userdata, &cycle);
    }
    json_decref(trims);
    json_decref(plan);
}

static void on_outcome(const struct walk *walk, const struct report_line *line) {
    json_t *whole = json_loadb(line->text, line->len, 0, NULL);
    walk->walker->on_outcome(walk->walker->userdata, line->record,
                             json_object_get(whole, "outcome"));
    json_decref(whole);
}

static void on_line(void *userdata, const struct report_line *line) {
    struct walk *walk = userdata;
    const struct report_walker *walker = walk->walker;
    const struct ma_record_line *record = line->record;
    if (record->kind == MA_RECORD_HEADER) {
        if (walker->on_header != NULL) {
            walker->on_header(walker->userdata, &record->header);
        }
        return;
    }
    if (record->realtime_usec != 0) {
        walk->realtime_usec = record->realtime_usec;
    }
    if (walker->on_time != NULL) {
        walker->on_time(walker->userdata, walk->realtime_usec);
    }
    if (walk->realtime_usec < walker->from_usec || walk->realtime_usec > walker->to_usec) {
        return;
    }
    if (record->kind == MA_RECORD_CYCLE) {
        on_cycle(walk, record);
    } else if (walker->on_outcome != NULL) {
        on_outcome(walk, line);
    }
}

static void on_broken(void *userdata) {
    const struct walk *walk = userdata;
    if (walk->walker->on_broken != NULL) {
        walk->walker->on_broken(walk->walker->userdata);
    }
}

int report_walk(const struct report_options *options,
                const struct report_walker *walker,
                struct ma_err *err) {
    struct walk walk = {.walker = walker};
    struct report_reader reader = {on_line, on_broken, &walk};
    return report_read(options, &reader, err);
}
