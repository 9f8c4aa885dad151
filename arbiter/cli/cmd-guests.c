/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-guests.c - one line a guest. */
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cli.h"
#include "table.h"

/* Findings about limits that hold nothing are for explain and the journal. */
static bool is_pinning_beyond(const json_t *guest) {
    size_t i;
    const json_t *finding;
    json_array_foreach(json_object_get(json_object_get(guest, "pins"), "findings"), i, finding) {
        const char *name = json_string_value(finding);
        if (name != NULL && (strncmp(name, "over-", 5) == 0 || strcmp(name, "below-libvirt") == 0 ||
                             strcmp(name, "limit-below-need") == 0)) {
            return true;
        }
    }
    return false;
}

/* The most pressing thing to know of it. */
static const char *remark_of(const json_t *guest, char *buf, size_t size) {
    char list[64];
    if (ma_cli_has(guest, "problem")) {
        (void) snprintf(buf, size, "metadata: %s", ma_cli_text(guest, "problem"));
    } else if (ma_cli_bool(guest, "stuck")) {
        (void) snprintf(buf, size, "stuck: its QEMU does not answer");
    } else if (ma_cli_number(guest, "held_left_usec") > 0) {
        char left[MA_FORMAT_MAX];
        (void) snprintf(buf, size, "held for %s",
                        ma_format_usec(left, (uint64_t) ma_cli_number(guest, "held_left_usec")));
    } else if (is_pinning_beyond(guest)) {
        (void) snprintf(buf, size, "pins: %s",
                        ma_cli_join(list, sizeof(list),
                                    json_object_get(json_object_get(guest, "pins"), "findings")));
    } else if (json_array_size(json_object_get(guest, "inhibited_by")) > 0) {
        (void) snprintf(buf, size, "no balloon: %s",
                        ma_cli_join(list, sizeof(list), json_object_get(guest, "inhibited_by")));
    } else if (strcmp(ma_cli_text(guest, "agent"), "quarantined") == 0) {
        (void) snprintf(buf, size, "its agent floods and is not listened to");
    } else if (strcmp(ma_cli_text(guest, "agent"), "disagrees") == 0) {
        (void) snprintf(buf, size, "its agent %s",
                        strcmp(ma_cli_text(guest, "agent_says"), "says-idle") == 0
                            ? "says idle, the host sees it grow"
                            : "says short, the host sees memory never touched");
    } else if (strcmp(ma_cli_text(guest, "cooperation"), "stuck") == 0) {
        (void) snprintf(buf, size, "its balloon does not move");
    } else if (ma_cli_has(guest, "excluded_because")) {
        (void) snprintf(buf, size, "no victim: %s", ma_cli_text(guest, "excluded_because"));
    } else if (ma_cli_bool(guest, "cap_missing")) {
        (void) snprintf(buf, size, "no caps, its cgroup: %s", ma_cli_text(guest, "cgroup"));
    } else {
        buf[0] = '\0';
    }
    return buf[0] != '\0' ? buf : "-";
}

static void add_guest(struct ma_table *table, const json_t *guest) {
    char buf[256], taken[64];
    const char *state = ma_cli_text(guest, "state");
    bool is_running = strcmp(state, "running") == 0;
    ma_table_add(table, MA_COLOR_NONE, ma_cli_text(guest, "name"));
    ma_table_add(table, is_running ? MA_COLOR_NONE : MA_COLOR_YELLOW, state);
    ma_table_add(table, MA_COLOR_NONE, ma_cli_text(guest, "impact"));
    ma_table_add_number(table, MA_COLOR_NONE, ma_cli_has(guest, "impact_score"),
                        ma_cli_number(guest, "impact_score"));
    ma_table_add_bytes(table, MA_COLOR_NONE, ma_cli_has(guest, "max_bytes"),
                       ma_cli_number(guest, "max_bytes"));
    ma_table_add_bytes(table, MA_COLOR_NONE, ma_cli_has(guest, "actual_bytes"),
                       ma_cli_number(guest, "actual_bytes"));
    ma_table_add_bytes(table, MA_COLOR_NONE, ma_cli_has(guest, "resident_bytes"),
                       ma_cli_number(guest, "resident_bytes"));
    ma_table_add_bytes(table, MA_COLOR_NONE, ma_cli_has(guest, "swap_bytes"),
                       ma_cli_number(guest, "swap_bytes"));
    ma_table_add_bytes(table, MA_COLOR_NONE, ma_cli_number(guest, "pinned_bytes") > 0,
                       ma_cli_number(guest, "pinned_bytes"));
    (void) ma_cli_join(taken, sizeof(taken), json_object_get(guest, "taken"));
    ma_table_add(table, taken[0] != '\0' ? MA_COLOR_YELLOW : MA_COLOR_NONE,
                 taken[0] != '\0' ? taken : "-");
    ma_table_add(table, MA_COLOR_NONE, remark_of(guest, buf, sizeof(buf)));
}

int ma_cmd_guests(const struct ma_cli *cli) {
    json_t *reply = NULL;
    int r = ma_cli_call(cli, "io.memarb.Arbiter.ListGuests", NULL, &reply);
    const json_t *guests = json_object_get(reply, "guests");
    if (r == 0 && cli->is_json) {
        r = ma_cli_print_json(cli, guests);
    } else if (r == 0 && json_array_size(guests) == 0) {
        (void) puts("no guests; memarbctl status shows whether libvirt is connected");
    } else if (r == 0) {
        struct ma_table table;
        size_t i;
        const json_t *guest;
        ma_table_init(
            &table, "NAME STATE +IMPACT +SCORE +MAX +BALLOON +RESIDENT +SWAP +PINNED TAKEN REMARK",
            cli->is_color);
        json_array_foreach(guests, i, guest) {
            add_guest(&table, guest);
        }
        ma_table_print(&table, 0);
    }
    json_decref(reply);
    return r;
}
