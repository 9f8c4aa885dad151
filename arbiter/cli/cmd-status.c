/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-status.c - one screen: the host, its pressure, what is armed, what was taken, what is wrong. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cli.h"
#include "table.h"

static const char *bytes(char buf[MA_FORMAT_MAX], const json_t *object, const char *name) {
    int64_t value = ma_cli_number(object, name);
    return ma_format_bytes(buf, value > 0 ? (uint64_t) value : 0);
}
static const char *usec(char buf[MA_FORMAT_MAX], const json_t *object, const char *name) {
    int64_t value = ma_cli_number(object, name);
    return ma_format_usec(buf, value > 0 ? (uint64_t) value : 0);
}

static void
add_line(struct ma_table *table, const char *label, enum ma_table_color color, const char *text) {
    ma_table_add(table, MA_COLOR_BOLD, label);
    ma_table_add(table, color, text);
}

static void add_host(struct ma_table *table, const json_t *status) {
    char a[MA_FORMAT_MAX], b[MA_FORMAT_MAX], c[MA_FORMAT_MAX], d[MA_FORMAT_MAX], e[MA_FORMAT_MAX];
    char text[256];
    (void) snprintf(text, sizeof(text), "%s: %s of %s available",
                    ma_cli_text(status, "host_meaning"), bytes(a, status, "available_bytes"),
                    bytes(b, status, "total_bytes"));
    add_line(table, "host", MA_COLOR_NONE, text);
    (void) snprintf(
        text, sizeof(text), "soft %s, hard %s, critical %s, reserve %s",
        bytes(a, status, "soft_watermark_bytes"), bytes(b, status, "hard_watermark_bytes"),
        bytes(c, status, "critical_watermark_bytes"), bytes(d, status, "reserve_bytes"));
    add_line(table, "watermarks", MA_COLOR_NONE, text);
    if (ma_cli_has(status, "cgroup_layout") &&
        strcmp(ma_cli_text(status, "cgroup_layout"), "v2") != 0) {
        (void) snprintf(text, sizeof(text), "%s: no caps, no reclaim from guests",
                        ma_cli_text(status, "cgroup_layout"));
        add_line(table, "cgroups", MA_COLOR_YELLOW, text);
    }
    if (ma_cli_number(status, "swap_total_bytes") > 0) {
        (void) snprintf(text, sizeof(text), "%s of %s free", bytes(e, status, "swap_free_bytes"),
                        bytes(a, status, "swap_total_bytes"));
        add_line(table, "swap", MA_COLOR_NONE, text);
    }
}

/* What guests were promised, and what the kernel has promised to processes. */
static void add_promises(struct ma_table *table, const json_t *status) {
    char a[MA_FORMAT_MAX], b[MA_FORMAT_MAX], c[MA_FORMAT_MAX], text[256];
    const json_t *admission = json_object_get(status, "admission");
    (void) snprintf(text, sizeof(text),
                    "%s: guests count for %s of %s, %s held for %" PRId64 " on their way",
                    ma_cli_text(admission, "mode"), bytes(a, admission, "guests_bytes"),
                    bytes(b, admission, "capacity_bytes"), bytes(c, admission, "held_bytes"),
                    ma_cli_number(admission, "on_their_way"));
    add_line(table, "admission", MA_COLOR_NONE, text);
    if (ma_cli_has(status, "commit_limit_bytes")) {
        (void) snprintf(text, sizeof(text), "Committed_AS %s, CommitLimit %s",
                        bytes(a, status, "committed_as_bytes"),
                        bytes(b, status, "commit_limit_bytes"));
        add_line(table, "kernel", MA_COLOR_NONE, text);
    }
}

static void add_pressure(struct ma_table *table, const json_t *status) {
    char text[160], age[MA_FORMAT_MAX];
    const char *pressure = ma_cli_text(status, "pressure");
    if (ma_cli_bool(status, "in_incident")) {
        (void) snprintf(text, sizeof(text), "%s, incident since %s, %" PRId64 " victims", pressure,
                        usec(age, status, "incident_age_usec"),
                        ma_cli_number(status, "victims_in_incident"));
    } else {
        (void) snprintf(text, sizeof(text), "%s", pressure);
    }
    add_line(table, "pressure", ma_table_color_of_pressure(pressure), text);
}

static void add_arming(struct ma_table *table, const json_t *status) {
    char text[256], list[96], left[MA_FORMAT_MAX];
    const json_t *disarmed = json_object_get(status, "disarmed");
    (void) snprintf(text, sizeof(text), "%s%s%s, policy %s", ma_cli_text(status, "arm"),
                    ma_cli_bool(status, "arm_override") ? " (by memarbctl)" : "",
                    ma_cli_bool(status, "dry_run") ? " (dry-run: nothing is touched)" : "",
                    ma_cli_text(status, "policy"));
    add_line(table, "armed", MA_COLOR_NONE, text);
    if (json_array_size(disarmed) > 0) {
        (void) snprintf(text, sizeof(text), "%s; memarbctl arm %s clears it",
                        ma_cli_join(list, sizeof(list), disarmed), ma_cli_text(status, "arm"));
        add_line(table, "breaker", MA_COLOR_RED, text);
    }
    if (ma_cli_number(status, "quiet_left_usec") > 0) {
        (void) snprintf(text, sizeof(text), "no victim for another %s",
                        usec(left, status, "quiet_left_usec"));
        add_line(table, "quiet time", MA_COLOR_YELLOW, text);
    }
}

static void add_pending(struct ma_table *table, const json_t *status) {
    const json_t *pending = json_object_get(status, "pending");
    char text[700], guests[420], predicted[MA_FORMAT_MAX], left[MA_FORMAT_MAX];
    if (!json_is_object(pending)) {
        return;
    }
    (void) snprintf(
        text, sizeof(text), "%s of %s: %s expected within %s", ma_cli_text(pending, "action"),
        ma_cli_join(guests, sizeof(guests), json_object_get(pending, "guests")),
        bytes(predicted, pending, "predicted_bytes"), usec(left, pending, "deadline_left_usec"));
    add_line(table, "under way", MA_COLOR_RED, text);
}

static void add_guests(struct ma_table *table, const json_t *status) {
    char text[256], amount[MA_FORMAT_MAX];
    (void) snprintf(text, sizeof(text), "%" PRId64 " (libvirt %s, %" PRId64 " on QMP)",
                    ma_cli_number(status, "guests"), ma_cli_text(status, "libvirt"),
                    ma_cli_number(status, "qmp_peers"));
    bool is_lost = strcmp(ma_cli_text(status, "libvirt"), "lost") == 0;
    add_line(table, "guests", is_lost ? MA_COLOR_YELLOW : MA_COLOR_NONE, text);
    (void) snprintf(text, sizeof(text), "%s by balloon from %" PRId64 " guests, %" PRId64 " paused",
                    bytes(amount, status, "balloon_taken_bytes"),
                    ma_cli_number(status, "ballooned"), ma_cli_number(status, "paused"));
    add_line(table, "taken", MA_COLOR_NONE, text);
    (void) snprintf(text, sizeof(text), "%" PRId64 " actions, %" PRId64 " of them armed",
                    ma_cli_number(status, "planned"), ma_cli_number(status, "planned_armed"));
    add_line(table, "planned", MA_COLOR_NONE, text);
    if (ma_cli_number(status, "held") + ma_cli_number(status, "stuck") +
            ma_cli_number(status, "problems") >
        0) {
        (void) snprintf(text, sizeof(text),
                        "%" PRId64 " held, %" PRId64 " stuck, %" PRId64
                        " with bad metadata: memarbctl guests",
                        ma_cli_number(status, "held"), ma_cli_number(status, "stuck"),
                        ma_cli_number(status, "problems"));
        add_line(table, "attention", MA_COLOR_YELLOW, text);
    }
}

static void add_pins(struct ma_table *table, const json_t *pins) {
    char text[256], a[MA_FORMAT_MAX], b[MA_FORMAT_MAX], c[MA_FORMAT_MAX];
    size_t i, len;
    const json_t *node;
    int64_t pinned = ma_cli_number(pins, "pinned_bytes");
    bool is_over = pinned > ma_cli_number(pins, "budget_bytes");
    if (pinned <= 0 && ma_cli_number(pins, "may_pin_bytes") <= 0 &&
        ma_cli_number(pins, "limited_guests") <= 0) {
        return;
    }
    (void) snprintf(text, sizeof(text), "%s, may become %s, budget %s",
                    bytes(a, pins, "pinned_bytes"), bytes(b, pins, "may_pin_bytes"),
                    bytes(c, pins, "budget_bytes"));
    json_array_foreach(json_object_get(pins, "nodes"), i, node) {
        len = strlen(text);
        is_over =
            is_over || ma_cli_number(node, "pinned_bytes") > ma_cli_number(node, "budget_bytes");
        (void) snprintf(text + len, sizeof(text) - len, "; node %" PRId64 " %s of %s",
                        ma_cli_number(node, "id"), bytes(a, node, "pinned_bytes"),
                        bytes(b, node, "budget_bytes"));
    }
    if (ma_cli_number(pins, "limited_guests") > 0) {
        len = strlen(text);
        (void) snprintf(text + len, sizeof(text) - len, "; %" PRId64 " guests limited",
                        ma_cli_number(pins, "limited_guests"));
    }
    add_line(table, "pinned", is_over ? MA_COLOR_RED : MA_COLOR_NONE, text);
}

static void add_kernel_kills(struct ma_table *table, const json_t *status) {
    char text[160];
    if (ma_cli_number(status, "kernel_kills") > 0) {
        (void) snprintf(text, sizeof(text),
                        "%" PRId64 " guests since the start of memarbd: memarbctl events",
                        ma_cli_number(status, "kernel_kills"));
        add_line(table, "killed by the kernel", MA_COLOR_RED, text);
    }
}

static void print_resources(const struct ma_cli *cli, const json_t *resources) {
    struct ma_table table;
    size_t i;
    const json_t *row;
    char left[MA_FORMAT_MAX];
    if (json_array_size(resources) == 0) {
        return;
    }
    ma_table_init(&table, "RESOURCE PRESSURE +DEFICIT +UNCOVERED +TIME-LEFT", cli->is_color);
    json_array_foreach(resources, i, row) {
        const char *pressure = ma_cli_text(row, "pressure");
        ma_table_add(&table, MA_COLOR_NONE, ma_cli_text(row, "resource"));
        ma_table_add(&table, ma_table_color_of_pressure(pressure), pressure);
        ma_table_add_bytes(&table, MA_COLOR_NONE, true, ma_cli_number(row, "deficit_bytes"));
        ma_table_add_bytes(&table, MA_COLOR_NONE, true, ma_cli_number(row, "uncovered_bytes"));
        ma_table_add(&table, MA_COLOR_NONE,
                     ma_cli_has(row, "time_left_usec") ? usec(left, row, "time_left_usec") : "-");
    }
    (void) putchar('\n');
    ma_table_print(&table, 0);
}

static void print_nodes(const struct ma_cli *cli, const json_t *nodes) {
    struct ma_table table;
    size_t i;
    const json_t *node;
    if (json_array_size(nodes) == 0) {
        return;
    }
    ma_table_init(&table, "+NODE +TOTAL +AVAILABLE +HUGEPAGES +FREE", cli->is_color);
    json_array_foreach(nodes, i, node) {
        bool has_huge = ma_cli_has(node, "hugepage_total_bytes");
        ma_table_add_number(&table, MA_COLOR_NONE, true, ma_cli_number(node, "id"));
        ma_table_add_bytes(&table, MA_COLOR_NONE, true, ma_cli_number(node, "total_bytes"));
        ma_table_add_bytes(&table, MA_COLOR_NONE, true, ma_cli_number(node, "available_bytes"));
        ma_table_add_bytes(&table, MA_COLOR_NONE, has_huge,
                           ma_cli_number(node, "hugepage_total_bytes"));
        ma_table_add_bytes(&table, MA_COLOR_NONE, has_huge,
                           ma_cli_number(node, "hugepage_free_bytes"));
    }
    (void) putchar('\n');
    ma_table_print(&table, 0);
}

static void print_status(const struct ma_cli *cli, const json_t *status) {
    struct ma_table table;
    char text[200], a[MA_FORMAT_MAX], b[MA_FORMAT_MAX], c[MA_FORMAT_MAX];
    ma_table_init_plain(&table, 2, cli->is_color);
    add_host(&table, status);
    add_promises(&table, status);
    add_pressure(&table, status);
    add_arming(&table, status);
    add_pending(&table, status);
    add_guests(&table, status);
    add_pins(&table, json_object_get(status, "pins"));
    add_kernel_kills(&table, status);
    (void) snprintf(text, sizeof(text), "%s, up %s, samples every %s, last view %s ago",
                    ma_cli_text(status, "version"), usec(a, status, "uptime_usec"),
                    usec(b, status, "tick_usec"), usec(c, status, "age_usec"));
    add_line(&table, "memarbd", MA_COLOR_NONE, text);
    ma_table_print(&table, 0);
    print_resources(cli, json_object_get(status, "resources"));
    print_nodes(cli, json_object_get(status, "nodes"));
}

int ma_cmd_status(const struct ma_cli *cli) {
    json_t *reply = NULL;
    int r = ma_cli_call(cli, "io.memarb.Arbiter.GetStatus", NULL, &reply);
    if (r == 0 && cli->is_json) {
        r = ma_cli_print_json(cli, json_object_get(reply, "status"));
    } else if (r == 0) {
        print_status(cli, json_object_get(reply, "status"));
    }
    json_decref(reply);
    return r;
}
