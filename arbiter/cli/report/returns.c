/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "returns.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cli.h"
#include "walk.h"

/* Too short: a slow guest has not given yet; too long: what the guest itself lets go is counted as well. Guess; under
 * emulation a balloon of 1 GiB takes 30 to 60 s. */
#define RETURN_WINDOW_USEC (60 * MA_USEC_PER_SEC)

static struct report_return *latest_of(struct report_data *data, const char *uuid) {
    for (size_t i = data->n_returns; i-- > 0;) {
        if (strcmp(data->returns[i].uuid, uuid) == 0) {
            return &data->returns[i];
        }
    }
    return NULL;
}

bool report_return_measured(struct report_data *data, const struct ma_record_outcome *outcome) {
    struct report_return *back = latest_of(data, outcome->uuid);
    if (back == NULL || back->action != outcome->action || back->is_measured) {
        return false;
    }
    for (size_t i = 0; i < outcome->n_measured; i++) {
        if (outcome->measured[i].row.kind == MA_ROW_RAM) {
            back->is_measured = back->is_known = true;
            back->is_open = false;
            back->returned_bytes =
                outcome->measured[i].bytes > 0 ? (uint64_t) outcome->measured[i].bytes : 0;
        }
    }
    return back->is_measured;
}

/* What those under way hold now. Those before first_open_return are over. */
static void look(struct report_data *data, uint64_t now_usec) {
    bool are_over = true;
    for (size_t i = data->first_open_return; i < data->n_returns; i++) {
        struct report_return *back = &data->returns[i];
        uint32_t at = back->is_open ? report_find_guest(data, back->uuid) : REPORT_NO_GUEST;
        if (at != REPORT_NO_GUEST) {
            const struct report_guest *guest = &data->guests[at];
            uint64_t held = guest->last_usec == now_usec ? guest->last_bytes : 0; /* it is gone */
            back->is_known = true;
            back->returned_bytes =
                ma_max_u64(back->returned_bytes, ma_sub_floor0(back->held_bytes, held));
            back->is_open = now_usec < ma_add_sat(back->realtime_usec, RETURN_WINDOW_USEC);
        }
        are_over = are_over && !back->is_open;
        data->first_open_return += are_over;
    }
}

static bool is_followed(enum ma_action action) {
    return action == MA_ACTION_BALLOON || action == MA_ACTION_RESIZE ||
           action == MA_ACTION_RECLAIM || action == MA_ACTION_SAVE ||
           action == MA_ACTION_SHUTDOWN || action == MA_ACTION_KILL;
}

/* Several steps of one decision on one guest return their memory together. */
static void begin(struct report_data *data,
                  const struct report_cycle *cycle,
                  const struct report_guest *guest,
                  const json_t *action) {
    enum ma_action what = report_action_of(action);
    int64_t frees = ma_cli_number(json_object_get(action, "frees"), "ram");
    struct report_return *last = latest_of(data, guest->uuid);
    bool is_same = last != NULL && last->realtime_usec == cycle->realtime_usec;
    if (last != NULL && !is_same) {
        last->is_open = false;
    }
    if (!is_followed(what) || frees <= 0) {
        return;
    }
    if (is_same) {
        last->predicted_bytes = ma_add_sat(last->predicted_bytes, (uint64_t) frees);
        return;
    }
    if (data->n_returns == REPORT_RETURNS_MAX) {
        return;
    }
    struct report_return *back = &data->returns[data->n_returns++];
    *back = (struct report_return){.realtime_usec = cycle->realtime_usec,
                                   .action = what,
                                   .predicted_bytes = (uint64_t) frees,
                                   .held_bytes = guest->last_bytes,
                                   .is_open = true};
    (void) snprintf(back->uuid, sizeof(back->uuid), "%s", guest->uuid);
}

void report_returns_see(struct report_data *data, const struct report_cycle *cycle) {
    const json_t *action;
    size_t i;
    look(data, cycle->realtime_usec);
    json_array_foreach(json_object_get(cycle->plan, "actions"), i, action) {
        uint32_t guest = report_find_guest(data, ma_cli_text(action, "guest"));
        if (ma_cli_bool(action, "armed") && guest != REPORT_NO_GUEST) {
            begin(data, cycle, &data->guests[guest], action);
        }
    }
}

const struct report_return *
report_return_of(const struct report_data *data, const char *uuid, uint64_t realtime_usec) {
    size_t low = 0;
    size_t high = data->n_returns;
    while (low < high) { /* the first of that time */
        size_t middle = low + (high - low) / 2;
        if (data->returns[middle].realtime_usec < realtime_usec) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < data->n_returns && data->returns[low].realtime_usec == realtime_usec; low++) {
        if (strcmp(data->returns[low].uuid, uuid) == 0) {
            return &data->returns[low];
        }
    }
    return NULL;
}
