/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-explain.c - why a guest would be chosen or not. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cli.h"
#include "table.h"

static void heading(const struct ma_cli *cli, const char *text) {
    (void) printf(cli->is_color ? "\n\033[1m%s\033[0m\n" : "\n%s\n", text);
}

static const char *reason_text(const json_t *object, const char *name) {
    const char *text = ma_cli_reason_text(ma_cli_text(object, name));
    return text != NULL ? text : ma_cli_text(object, name);
}

/* The first sentence that an operator looks for. */
static void print_verdict(const json_t *reply) {
    const json_t *guest = json_object_get(reply, "guest");
    const json_t *candidate = json_object_get(reply, "candidate");
    const json_t *action = json_array_get(json_object_get(reply, "actions"), 0);
    const char *name = ma_cli_text(guest, "name");
    if (action != NULL && ma_cli_bool(action, "armed")) {
        (void) printf("%s: %s is planned: %s.\n", name, ma_cli_text(action, "action"),
                      reason_text(action, "reason"));
    } else if (action != NULL) {
        (void) printf("%s: %s is planned but withheld: %s.\n", name, ma_cli_text(action, "action"),
                      reason_text(action, "withheld_because"));
    } else if (ma_cli_has(candidate, "excluded_because")) {
        (void) printf("%s would be no victim: %s.\n", name,
                      reason_text(candidate, "excluded_because"));
    } else if (candidate == NULL || strcmp(ma_cli_text(reply, "pressure"), "normal") == 0) {
        (void) printf("%s: nothing is planned, since the host's pressure is %s.\n", name,
                      ma_cli_text(reply, "pressure"));
    } else {
        (void) printf("%s was weighed and left alone.\n", name);
    }
    if (ma_cli_has(reply, "rank")) {
        (void) printf("Were a victim needed, it is number %" PRId64 " of %" PRId64
                      " by what its loss costs (1 goes first, all else equal).\n",
                      ma_cli_number(reply, "rank"), ma_cli_number(reply, "eligible_guests"));
    }
}

static void add_nodes(struct ma_table *table, const json_t *guest) {
    const json_t *node;
    size_t i;
    char label[48];
    json_array_foreach(json_object_get(guest, "nodes"), i, node) {
        (void) snprintf(label, sizeof(label), "on node %" PRId64, ma_cli_number(node, "id"));
        ma_table_add(table, MA_COLOR_NONE, label);
        ma_table_add_bytes(table, MA_COLOR_NONE, true, ma_cli_number(node, "resident_bytes"));
    }
    if (i > 0 && ma_cli_has(guest, "placement")) {
        ma_table_add(table, MA_COLOR_NONE, "placement");
        ma_table_add(table, MA_COLOR_NONE, ma_cli_text(guest, "placement"));
    }
}

/* "fresh, stalls 12.3 % of its time; spared a squeeze for 20 s" */
static const char *agent_text(const json_t *guest, char *buf, size_t size) {
    char left[MA_FORMAT_MAX];
    char stall[48] = "";
    char veto[64] = "";
    if (ma_cli_has(guest, "agent_stall_permyriad")) {
        int64_t stalled = ma_cli_number(guest, "agent_stall_permyriad");
        (void) snprintf(stall, sizeof(stall), ", stalls %" PRId64 ".%02" PRId64 " %% of its time",
                        stalled / 100, stalled % 100);
    }
    if (ma_cli_has(guest, "veto_left_usec")) {
        (void) snprintf(veto, sizeof(veto), "; spared a squeeze for %s",
                        ma_format_usec(left, (uint64_t) ma_cli_number(guest, "veto_left_usec")));
    }
    (void) snprintf(buf, size, "%s%s%s%s%s", ma_cli_text(guest, "agent"),
                    ma_cli_has(guest, "agent_says") ? ": " : "",
                    ma_cli_has(guest, "agent_says") ? ma_cli_text(guest, "agent_says") : "", stall,
                    veto);
    return buf;
}

static void print_guest(const struct ma_cli *cli, const json_t *guest) {
    static const char *const names[] = {"max_bytes", "actual_bytes", "resident_bytes", "swap_bytes",
                                        "pinned_bytes"};
    static const char *const labels[] = {"maximum", "balloon leaves it", "resident", "swapped",
                                         "pinned"};
    struct ma_table table;
    char text[128];
    heading(cli, "Guest");
    ma_table_init_plain(&table, 2, cli->is_color);
    ma_table_add(&table, MA_COLOR_NONE, "uuid");
    ma_table_add(&table, MA_COLOR_NONE, ma_cli_text(guest, "uuid"));
    ma_table_add(&table, MA_COLOR_NONE, "state");
    ma_table_add(&table, MA_COLOR_NONE, ma_cli_text(guest, "state"));
    for (size_t i = 0; i < 5; i++) {
        if (ma_cli_has(guest, names[i])) {
            ma_table_add(&table, MA_COLOR_NONE, labels[i]);
            ma_table_add_bytes(&table, MA_COLOR_NONE, true, ma_cli_number(guest, names[i]));
        }
    }
    add_nodes(&table, guest);
    if (ma_cli_has(guest, "balloon")) {
        ma_table_add(&table, MA_COLOR_NONE, "balloon");
        ma_table_add(&table, MA_COLOR_NONE, ma_cli_text(guest, "balloon"));
    }
    ma_table_add(&table, MA_COLOR_NONE, "agent");
    ma_table_add(&table, MA_COLOR_NONE, agent_text(guest, text, sizeof(text)));
    if (ma_cli_has(guest, "cgroup")) {
        ma_table_add(&table, MA_COLOR_NONE, "cgroup");
        ma_table_add(&table, MA_COLOR_NONE, ma_cli_text(guest, "cgroup"));
    }
    if (ma_cli_has(guest, "problem")) {
        ma_table_add(&table, MA_COLOR_RED, "metadata");
        ma_table_add(&table, MA_COLOR_RED, ma_cli_text(guest, "problem"));
    }
    ma_table_print(&table, 2);
}

static void print_settings(const struct ma_cli *cli, const json_t *settings) {
    struct ma_table table;
    size_t i;
    const json_t *setting;
    heading(cli, "Settings");
    ma_table_init(&table, "SETTING VALUE FROM", cli->is_color);
    json_array_foreach(settings, i, setting) {
        ma_table_add(&table, MA_COLOR_NONE, ma_cli_text(setting, "name"));
        ma_table_add(&table, MA_COLOR_NONE, ma_cli_text(setting, "value"));
        ma_table_add(&table, MA_COLOR_NONE, ma_cli_text(setting, "from"));
    }
    ma_table_print(&table, 2);
}

static void print_taken(const struct ma_cli *cli, const json_t *taken) {
    char before[MA_FORMAT_MAX], ours[MA_FORMAT_MAX], since[MA_FORMAT_MAX];
    heading(cli, "Taken from it");
    if (json_object_size(taken) == 0) {
        (void) puts("  nothing");
    }
    if (ma_cli_has(taken, "balloon_ours_bytes")) {
        (void) printf(
            "  balloon: %s -> %s\n",
            ma_format_bytes(before, (uint64_t) ma_cli_number(taken, "balloon_before_bytes")),
            ma_format_bytes(ours, (uint64_t) ma_cli_number(taken, "balloon_ours_bytes")));
    }
    if (ma_cli_has(taken, "paused_for_usec")) {
        (void) printf("  paused for %s\n",
                      ma_format_usec(since, (uint64_t) ma_cli_number(taken, "paused_for_usec")));
    }
}

static void print_terms(const struct ma_cli *cli, const json_t *candidate) {
    struct ma_table table;
    const char *name;
    json_t *value;
    if (!ma_cli_has(candidate, "terms")) {
        return;
    }
    heading(cli, "What its loss costs");
    ma_table_init(&table, "TERM +MILLI-POINTS", cli->is_color);
    json_object_foreach(json_object_get(candidate, "terms"), name, value) {
        ma_table_add(&table, MA_COLOR_NONE, name);
        ma_table_add_number(&table, MA_COLOR_NONE, true, json_integer_value(value));
    }
    ma_table_add(&table, MA_COLOR_BOLD, "total (micro-points)");
    ma_table_add_number(&table, MA_COLOR_BOLD, true, ma_cli_number(candidate, "impact"));
    ma_table_print(&table, 2);
}

static void add_option(struct ma_table *table, const json_t *option) {
    char steps[128] = "", frees[256] = "", amount[MA_FORMAT_MAX];
    size_t i, len = 0;
    const json_t *step;
    const char *row;
    json_t *value;
    json_array_foreach(json_object_get(option, "steps"), i, step) {
        size_t at = strlen(steps);
        int64_t to = ma_cli_number(step, "to_bytes");
        (void) snprintf(
            steps + at, sizeof(steps) - at, "%s%s%s%s", i > 0 ? ", " : "",
            ma_cli_text(step, "action"), ma_cli_has(step, "to_bytes") ? " to " : "",
            ma_cli_has(step, "to_bytes") && to >= 0 ? ma_format_bytes(amount, (uint64_t) to) : "");
    }
    json_object_foreach(json_object_get(option, "frees"), row, value) {
        int64_t bytes = json_integer_value(value);
        int n = snprintf(frees + len, sizeof(frees) - len, "%s%s %s%s", len > 0 ? ", " : "", row,
                         bytes < 0 ? "-" : "",
                         ma_format_bytes(amount, bytes < 0 ? -(uint64_t) bytes : (uint64_t) bytes));
        len += n > 0 && (size_t) n < sizeof(frees) - len ? (size_t) n : 0;
    }
    bool is_chosen = ma_cli_bool(option, "chosen");
    ma_table_add(table, is_chosen ? MA_COLOR_YELLOW : MA_COLOR_NONE, steps);
    ma_table_add(table, MA_COLOR_NONE, frees[0] != '\0' ? frees : "-");
    ma_table_add_number(table, MA_COLOR_NONE, true, ma_cli_number(option, "impact"));
    ma_table_add(table, MA_COLOR_NONE, ma_cli_text(option, "reason"));
    ma_table_add(table, is_chosen ? MA_COLOR_YELLOW : MA_COLOR_NONE, is_chosen ? "chosen" : "-");
}

static void print_options(const struct ma_cli *cli, const json_t *candidate) {
    struct ma_table table;
    size_t i;
    const json_t *option;
    if (json_array_size(json_object_get(candidate, "options")) == 0) {
        return;
    }
    heading(cli, "Options weighed");
    ma_table_init(&table, "OPTION FREES +IMPACT REASON CHOSEN", cli->is_color);
    json_array_foreach(json_object_get(candidate, "options"), i, option) {
        add_option(&table, option);
    }
    ma_table_print(&table, 2);
}

static void print_trims(const struct ma_cli *cli, const json_t *trims) {
    size_t i;
    const json_t *trim;
    if (json_array_size(trims) == 0) {
        return;
    }
    heading(cli, "Taken out by the guard");
    json_array_foreach(trims, i, trim) {
        (void) printf("  %s: %s (%s)\n", ma_cli_text(trim, "action"), reason_text(trim, "reason"),
                      ma_cli_text(trim, "reason"));
    }
}

int ma_cmd_explain(const struct ma_cli *cli) {
    json_t *reply = NULL;
    int r = ma_cli_call(cli, "io.memarb.Arbiter.Explain", json_pack("{s:s}", "guest", cli->args[0]),
                        &reply);
    if (r == 0 && cli->is_json) {
        r = ma_cli_print_json(cli, reply);
    } else if (r == 0) {
        const json_t *candidate = json_object_get(reply, "candidate");
        print_verdict(reply);
        print_guest(cli, json_object_get(reply, "guest"));
        ma_cli_print_pins(cli, json_object_get(json_object_get(reply, "guest"), "pins"));
        ma_cli_print_limits(cli, json_object_get(reply, "limits"));
        print_taken(cli, json_object_get(reply, "taken"));
        print_settings(cli, json_object_get(reply, "settings"));
        print_terms(cli, candidate);
        print_options(cli, candidate);
        print_trims(cli, json_object_get(reply, "trims"));
    }
    json_decref(reply);
    return r;
}
