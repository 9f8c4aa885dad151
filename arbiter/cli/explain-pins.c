/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* explain-pins.c - what a guest pins and which limit says what. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cli.h"
#include "table.h"

static const struct {
    const char *name, *text;
} findings[] = {
    {"over-limit", "it pins more than PinLimit="},
    {"over-rlimit", "more is locked than RLIMIT_MEMLOCK allows"},
    {"limit-void", "its QEMU has CAP_IPC_LOCK: the kernel does not look at RLIMIT_MEMLOCK"},
    {"unlimited", "RLIMIT_MEMLOCK is unlimited"},
    {"beyond-ram", "a limit is larger than the host's memory"},
    {"below-libvirt", "RLIMIT_MEMLOCK is less than libvirt would set: its next mapping may fail"},
    {"above-libvirt", "RLIMIT_MEMLOCK is more than libvirt would set"},
    {"limit-below-need", "PinLimit= is less than its devices need, so a higher one holds"},
};

static const char *text_of(const char *finding) {
    for (size_t i = 0; i < sizeof(findings) / sizeof(findings[0]); i++) {
        if (strcmp(findings[i].name, finding) == 0) {
            return findings[i].text;
        }
    }
    return finding;
}

static void add(struct ma_table *table, const char *label, const json_t *pins, const char *name) {
    if (ma_cli_has(pins, name)) {
        ma_table_add(table, MA_COLOR_NONE, label);
        ma_table_add_bytes(table, MA_COLOR_NONE, true, ma_cli_number(pins, name));
    }
}

static void
add_unlimited(struct ma_table *table, const char *label, const json_t *pins, const char *name) {
    if (ma_cli_bool(pins, name)) {
        ma_table_add(table, MA_COLOR_NONE, label);
        ma_table_add(table, MA_COLOR_YELLOW, "unlimited");
    }
}

void ma_cli_print_pins(const struct ma_cli *cli, const json_t *pins) {
    struct ma_table table;
    size_t i;
    const json_t *finding;
    if (!json_is_object(pins)) {
        return;
    }
    (void) printf(cli->is_color ? "\n\033[1m%s\033[0m\n" : "\n%s\n", "Pins");
    ma_table_init_plain(&table, 2, cli->is_color);
    add(&table, "kernel's account", pins, "account_bytes");
    add(&table, "RLIMIT_MEMLOCK", pins, "memlock_limit_bytes");
    add_unlimited(&table, "RLIMIT_MEMLOCK", pins, "memlock_unlimited");
    add(&table, "libvirt's figure", pins, "libvirt_bytes");
    add_unlimited(&table, "libvirt's figure", pins, "libvirt_unlimited");
    add(&table, "least safe limit", pins, "floor_bytes");
    add(&table, "limit by PinLimit=", pins, "target_bytes");
    add(&table, "may come to pin", pins, "may_pin_bytes");
    ma_table_print(&table, 2);
    json_array_foreach(json_object_get(pins, "findings"), i, finding) {
        const char *name = json_string_value(finding);
        (void) printf("  %s (%s)\n", text_of(name != NULL ? name : "?"), name != NULL ? name : "?");
    }
}

static bool is_bytes(const char *limit) {
    return strcmp(limit, "memlock") == 0 || strncmp(limit, "memory.max", 10) == 0 ||
           strcmp(limit, "memory.high") == 0 || strcmp(limit, "memory.swap.max") == 0;
}

/* Microseconds of CPU a second are shown in percent, as they are configured. */
static void add_value(struct ma_table *table, const json_t *limit, const char *name) {
    const char *kind = ma_cli_text(limit, "limit");
    char text[MA_FORMAT_MAX];
    int64_t value = ma_cli_number(limit, name);
    if (!ma_cli_has(limit, name)) {
        (void) snprintf(text, sizeof(text), "-");
    } else if (is_bytes(kind)) {
        (void) ma_format_bytes(text, value > 0 ? (uint64_t) value : 0);
    } else if (strcmp(kind, "cpu.max") == 0) {
        (void) snprintf(text, sizeof(text), "%" PRId64 "%%", value / 10000);
    } else {
        (void) snprintf(text, sizeof(text), "%" PRId64, value);
    }
    ma_table_add(table, MA_COLOR_NONE, text);
}

void ma_cli_print_limits(const struct ma_cli *cli, const json_t *limits) {
    struct ma_table table;
    size_t i;
    const json_t *limit;
    if (json_array_size(limits) == 0) {
        return;
    }
    (void) printf(cli->is_color ? "\n\033[1m%s\033[0m\n" : "\n%s\n", "Limits");
    ma_table_init(&table, "LIMIT +ASKED +NOW +BEFORE SET-BY NOTE", cli->is_color);
    json_array_foreach(limits, i, limit) {
        bool is_ours = ma_cli_bool(limit, "ours");
        ma_table_add(&table, MA_COLOR_NONE, ma_cli_text(limit, "limit"));
        add_value(&table, limit, "asked");
        add_value(&table, limit, "now");
        add_value(&table, limit, "before");
        ma_table_add(&table, MA_COLOR_NONE, is_ours ? "memarb" : "-");
        ma_table_add(&table, MA_COLOR_NONE,
                     ma_cli_has(limit, "note") ? ma_cli_text(limit, "note") : "-");
    }
    ma_table_print(&table, 2);
}
