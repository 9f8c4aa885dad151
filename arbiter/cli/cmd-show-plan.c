/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-show-plan.c - what the running memarbd would do now. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cli.h"
#include "table.h"

static void print_amounts(const char *label, const json_t *amounts) {
    const char *row;
    json_t *value;
    char text[MA_FORMAT_MAX];
    json_object_foreach((json_t *) (uintptr_t) amounts, row, value) {
        int64_t bytes = json_integer_value(value);
        (void) printf("%s: %s %s\n", label, row,
                      ma_format_bytes(text, bytes > 0 ? (uint64_t) bytes : 0));
    }
}

/* Of host RAM; of a node, where an action returns nothing else. */
static int64_t freed(const json_t *action) {
    json_t *frees = json_object_get(action, "frees");
    int64_t most = ma_cli_number(frees, "ram");
    const char *row;
    json_t *value;
    if (most != 0) {
        return most;
    }
    json_object_foreach(frees, row, value) {
        if (strncmp(row, "node", 4) == 0 && json_integer_value(value) > most) {
            most = json_integer_value(value);
        }
    }
    return most;
}

static void add_action(struct ma_table *table, const json_t *action, const char *withheld) {
    bool is_armed = ma_cli_bool(action, "armed");
    ma_table_add(table, MA_COLOR_NONE, ma_cli_text(action, "action"));
    ma_table_add(table, MA_COLOR_NONE,
                 ma_cli_has(action, "name") ? ma_cli_text(action, "name") : "host");
    ma_table_add_bytes(table, MA_COLOR_NONE, ma_cli_has(action, "from_bytes"),
                       ma_cli_number(action, "from_bytes"));
    ma_table_add_bytes(table, MA_COLOR_NONE, ma_cli_has(action, "to_bytes"),
                       ma_cli_number(action, "to_bytes"));
    ma_table_add_bytes(table, MA_COLOR_NONE, ma_cli_has(action, "frees"), freed(action));
    ma_table_add_number(table, MA_COLOR_NONE, ma_cli_has(action, "impact"),
                        ma_cli_number(action, "impact"));
    ma_table_add(table, is_armed ? MA_COLOR_YELLOW : MA_COLOR_DIM, is_armed ? "yes" : withheld);
    ma_table_add(table, MA_COLOR_NONE, ma_cli_text(action, "reason"));
}

static void print_plan(const struct ma_cli *cli, const json_t *reply) {
    const json_t *plan = json_object_get(reply, "plan");
    const json_t *actions = json_object_get(plan, "actions");
    const json_t *certificate = json_object_get(plan, "certificate");
    struct ma_table table;
    size_t i;
    size_t at = 0;
    const json_t *action;
    const json_t *withheld;
    (void) printf("pressure: %s, policy: %s\n", ma_cli_text(plan, "state"),
                  ma_cli_text(plan, "policy"));
    print_amounts("short of", json_object_get(plan, "deficits"));
    print_amounts("beyond reach", json_object_get(plan, "uncovered"));
    if (json_array_size(actions) == 0) {
        (void) puts("nothing to do");
        return;
    }
    ma_table_init(&table, "ACTION GUEST +FROM +TO +FREES +IMPACT ARMED REASON", cli->is_color);
    json_array_foreach(actions, i, action) {
        withheld = ma_cli_bool(action, "armed")
                       ? NULL
                       : ma_cli_next_withheld(json_object_get(reply, "trims"), &at);
        add_action(&table, action, withheld != NULL ? ma_cli_text(withheld, "reason") : "no");
    }
    ma_table_print(&table, 0);
    if (certificate != NULL) {
        (void) printf("total impact %" PRId64 "; no choice costs less than %" PRId64 "%s\n",
                      ma_cli_number(certificate, "total_impact"),
                      ma_cli_number(certificate, "lower_bound_impact"),
                      ma_cli_bool(certificate, "optimal") ? " (proven best)" : "");
    }
}

int ma_cmd_show_plan(const struct ma_cli *cli) {
    json_t *reply = NULL;
    int r = ma_cli_call(cli, "io.memarb.Arbiter.GetPlan", NULL, &reply);
    if (r == 0 && cli->is_json) {
        r = ma_cli_print_json(cli, json_object_get(reply, "plan"));
    } else if (r == 0) {
        print_plan(cli, reply);
    }
    json_decref(reply);
    return r;
}
