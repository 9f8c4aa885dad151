/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* top-model.c - see top-model.h. */
#include "top-model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "cli.h"

#define UNKNOWN INT64_MIN
/* never outranks every number, first comes below them: what sorting by impact means. */
#define IMPACT_NEVER INT64_MAX

static const struct {
    const char *header;
    int width;
    const char *member; /* of the daemon's guest; NULL: not a plain number */
    bool is_number;
} columns[MA_TOP_COLUMNS] = {
    [MA_TOP_GUEST] = {"GUEST", 0, NULL, false},
    [MA_TOP_STATE] = {"STATE", 8, NULL, false},
    [MA_TOP_ACTUAL] = {"ACTUAL", 6, "actual_bytes", true},
    [MA_TOP_TARGET] = {"TARGET", 6, "target_bytes", true},
    [MA_TOP_WORKING] = {"WORK", 6, "working_set_bytes", true},
    [MA_TOP_PINNED] = {"PINNED", 6, "pinned_bytes", true},
    [MA_TOP_PRESSURE] = {"PSI%", 5, "pressure_permyriad", true},
    [MA_TOP_IMPACT] = {"IMPACT", 6, NULL, true},
    [MA_TOP_FREES] = {"FREES", 6, "kill_frees_bytes", true},
    [MA_TOP_TAKEN] = {"TAKEN", 8, NULL, false},
};
/* Below it the name is cut so short that guests are mixed up; the last columns are then left out instead. */
#define GUEST_WIDTH_MIN 12

void ma_top_init(struct ma_top *top) {
    *top = (struct ma_top){.sort = MA_TOP_FREES};
}

void ma_top_fini(struct ma_top *top) {
    free(top->rows);
    *top = (struct ma_top){0};
}

/* Bytes that could steer a terminal, C1 in UTF-8 included, become '?'. */
static void copy_text(char *to, size_t size, const char *from) {
    (void) snprintf(to, size, "%s", from);
    for (char *c = to; *c != '\0'; c++) {
        unsigned char byte = (unsigned char) *c;
        bool is_c1 = byte == 0xC2 && (unsigned char) c[1] >= 0x80 && (unsigned char) c[1] < 0xA0;
        if (byte < 0x20 || byte == 0x7F || is_c1) {
            *c = '?';
        }
    }
}

static int64_t number_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : UNKNOWN;
}

static int64_t impact_of(const char *text) {
    uint64_t weight = 0;
    if (strcmp(text, "never") == 0) {
        return IMPACT_NEVER;
    }
    return ma_parse_u64(text, INT32_MAX, &weight) == 0 ? (int64_t) weight : 0;
}

static void take_guest(struct ma_top_row *row, const json_t *guest) {
    char joined[64];
    *row = (struct ma_top_row){0};
    const char *name = ma_cli_text(guest, "name");
    copy_text(row->text, sizeof(row->text), name[0] != '\0' ? name : ma_cli_text(guest, "uuid"));
    copy_text(row->state, sizeof(row->state), ma_cli_text(guest, "state"));
    copy_text(row->impact, sizeof(row->impact), ma_cli_text(guest, "impact"));
    copy_text(row->taken, sizeof(row->taken),
              ma_cli_join(joined, sizeof(joined), json_object_get(guest, "taken")));
    for (size_t i = 0; i < MA_TOP_COLUMNS; i++) {
        row->value[i] = columns[i].member != NULL ? number_of(guest, columns[i].member) : UNKNOWN;
    }
    row->value[MA_TOP_IMPACT] = impact_of(row->impact);
    row->is_odd = ma_cli_has(guest, "problem") || ma_cli_bool(guest, "stuck");
}

bool ma_top_take_guests(struct ma_top *top, const json_t *guests) {
    size_t n = json_array_size(guests);
    if (n > top->max_rows) {
        struct ma_top_row *rows = reallocarray(top->rows, n, sizeof(*rows));
        if (rows == NULL) {
            return false;
        }
        top->rows = rows;
        top->max_rows = n;
    }
    for (size_t i = 0; i < n; i++) {
        take_guest(&top->rows[i], json_array_get(guests, i));
    }
    top->n_rows = n;
    ma_top_sort(top);
    return true;
}

/* "1023M", "3.0G", "128G": five characters at most below 10,000 of a unit. */
static const char *compact(char buf[MA_TOP_CELL_MAX], int64_t bytes) {
    static const char units[] = "BKMGTP";
    uint64_t tenths = bytes > 0 ? ma_mul_sat((uint64_t) bytes, 10) : 0;
    size_t unit = 0;
    while (tenths >= 10240 && unit + 2 < sizeof(units)) {
        tenths /= 1024;
        unit++;
    }
    if (tenths < 100 && unit > 0) {
        (void) snprintf(buf, MA_TOP_CELL_MAX, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10,
                        units[unit]);
    } else {
        (void) snprintf(buf, MA_TOP_CELL_MAX, "%" PRIu64 "%c", tenths / 10, units[unit]);
    }
    return buf;
}

const char *
ma_top_cell(const struct ma_top_row *row, enum ma_top_column column, char buf[MA_TOP_CELL_MAX]) {
    int64_t value = row->value[column];
    switch (column) {
    case MA_TOP_GUEST:
        (void) snprintf(buf, MA_TOP_CELL_MAX, "%s", row->text);
        break;
    case MA_TOP_STATE:
        (void) snprintf(buf, MA_TOP_CELL_MAX, "%s", row->state);
        break;
    case MA_TOP_IMPACT:
        (void) snprintf(buf, MA_TOP_CELL_MAX, "%s", row->impact);
        break;
    case MA_TOP_TAKEN:
        (void) snprintf(buf, MA_TOP_CELL_MAX, "%s", row->taken[0] != '\0' ? row->taken : "-");
        break;
    case MA_TOP_PRESSURE:
        (void) snprintf(buf, MA_TOP_CELL_MAX, "%" PRId64 ".%" PRId64, value / 100,
                        value % 100 / 10);
        break;
    case MA_TOP_ACTUAL:
    case MA_TOP_TARGET:
    case MA_TOP_WORKING:
    case MA_TOP_PINNED:
    case MA_TOP_FREES:
        (void) compact(buf, value);
        break;
    case MA_TOP_COLUMNS:
    default:
        buf[0] = '\0';
        break;
    }
    bool is_missing = columns[column].member != NULL && value == UNKNOWN;
    return is_missing || buf[0] == '\0' ? "-" : buf;
}

static const char *sort_text(const struct ma_top_row *row, enum ma_top_column column) {
    return column == MA_TOP_STATE ? row->state : column == MA_TOP_TAKEN ? row->taken : row->text;
}

static int compare(const void *a, const void *b, void *userdata) {
    const struct ma_top_row *x = a, *y = b;
    const struct ma_top *top = userdata;
    int order;
    if (columns[top->sort].is_number) {
        order = (x->value[top->sort] < y->value[top->sort]) -
                (x->value[top->sort] > y->value[top->sort]);
    } else {
        order = strcmp(sort_text(x, top->sort), sort_text(y, top->sort));
    }
    order = top->is_ascending ? -order : order;
    return order != 0 ? order
                      : strcmp(x->text, y->text); /* rows that are equal keep their places */
}

void ma_top_sort(struct ma_top *top) {
    if (top->n_rows > 1) {
        qsort_r(top->rows, top->n_rows, sizeof(top->rows[0]), compare, top);
    }
}

void ma_top_sort_by(struct ma_top *top, enum ma_top_column column) {
    top->is_ascending = column == top->sort && !top->is_ascending;
    top->sort = column;
    ma_top_sort(top);
}

const char *ma_top_header(enum ma_top_column column) {
    return columns[column].header;
}

bool ma_top_is_number(enum ma_top_column column) {
    return columns[column].is_number;
}

int ma_top_width(enum ma_top_column column, int screen_width) {
    int used = 0;
    for (size_t i = 1; i < MA_TOP_COLUMNS; i++) {
        used += columns[i].width + 1;
        bool is_out = screen_width - used < GUEST_WIDTH_MIN;
        if (is_out) {
            used -= columns[i].width + 1;
        }
        if (column == i) {
            return is_out ? 0 : columns[i].width;
        }
    }
    return screen_width - used > 1 ? screen_width - used : 1;
}

/* Host lines. */

static const char *bytes(char buf[MA_TOP_CELL_MAX], const json_t *object, const char *name) {
    return compact(buf, ma_cli_number(object, name));
}

static char *new_line(struct ma_top *top) {
    return top->n_host < MA_TOP_HOST_MAX ? top->host[top->n_host++] : NULL;
}

static void add_first_line(struct ma_top *top, const json_t *status) {
    char *line = new_line(top);
    if (line != NULL) {
        (void) snprintf(
            line, MA_TOP_LINE_MAX, "%s  pressure %s%s  armed %s%s  %" PRId64 " guests",
            ma_cli_text(status, "host_meaning"), ma_cli_text(status, "pressure"),
            ma_cli_bool(status, "in_incident") ? " (incident)" : "", ma_cli_text(status, "arm"),
            ma_cli_bool(status, "dry_run") ? " (dry-run)" : "", ma_cli_number(status, "guests"));
    }
}

/* Time left of the resource, "" where it does not shrink. */
static const char *
time_left(const json_t *status, const char *resource, char buf[MA_TOP_CELL_MAX]) {
    size_t i;
    const json_t *row;
    buf[0] = '\0';
    json_array_foreach(json_object_get(status, "resources"), i, row) {
        if (strcmp(ma_cli_text(row, "resource"), resource) == 0 &&
            ma_cli_has(row, "time_left_usec")) {
            char text[MA_FORMAT_MAX];
            int64_t left = ma_cli_number(row, "time_left_usec");
            (void) snprintf(buf, MA_TOP_CELL_MAX, ", empty in %s",
                            ma_format_usec(text, left > 0 ? (uint64_t) left : 0));
        }
    }
    return buf;
}

static void add_ram(struct ma_top *top, const json_t *status) {
    char a[MA_TOP_CELL_MAX], b[MA_TOP_CELL_MAX], c[MA_TOP_CELL_MAX], d[MA_TOP_CELL_MAX],
        e[MA_TOP_CELL_MAX], left[MA_TOP_CELL_MAX];
    char *line = new_line(top);
    if (line != NULL) {
        (void) snprintf(
            line, MA_TOP_LINE_MAX, "ram    %s of %s available; soft %s hard %s critical %s%s",
            bytes(a, status, "available_bytes"), bytes(b, status, "total_bytes"),
            bytes(c, status, "soft_watermark_bytes"), bytes(d, status, "hard_watermark_bytes"),
            bytes(e, status, "critical_watermark_bytes"), time_left(status, "ram", left));
    }
}

static void add_pressure(struct ma_top *top, const json_t *status) {
    char a[MA_TOP_CELL_MAX], b[MA_TOP_CELL_MAX], psi[64] = "psi    -", swap[96] = "no swap";
    char *line = new_line(top);
    if (line == NULL) {
        return;
    }
    if (ma_cli_has(status, "psi_some_permyriad")) {
        int64_t some = ma_cli_number(status, "psi_some_permyriad");
        int64_t full = ma_cli_number(status, "psi_full_permyriad");
        (void) snprintf(psi, sizeof(psi),
                        "psi    some %" PRId64 ".%" PRId64 "%% full %" PRId64 ".%" PRId64 "%%",
                        some / 100, some % 100 / 10, full / 100, full % 100 / 10);
    }
    if (ma_cli_number(status, "swap_total_bytes") > 0) {
        (void) snprintf(swap, sizeof(swap), "swap %s of %s free",
                        bytes(a, status, "swap_free_bytes"), bytes(b, status, "swap_total_bytes"));
    }
    const json_t *pins = json_object_get(status, "pins");
    (void) snprintf(line, MA_TOP_LINE_MAX, "%s; %s; pinned %s of %s", psi, swap,
                    bytes(a, pins, "pinned_bytes"), bytes(b, pins, "budget_bytes"));
}

static void add_nodes(struct ma_top *top, const json_t *status) {
    const json_t *nodes = json_object_get(status, "nodes");
    char *line = json_array_size(nodes) > 1 ? new_line(top) : NULL;
    size_t i, len = 0;
    const json_t *node;
    json_array_foreach(nodes, i, node) {
        char a[MA_TOP_CELL_MAX], b[MA_TOP_CELL_MAX], key[32], left[MA_TOP_CELL_MAX];
        (void) snprintf(key, sizeof(key), "node%" PRId64, ma_cli_number(node, "id"));
        if (line != NULL && len < MA_TOP_LINE_MAX) {
            int n = snprintf(line + len, MA_TOP_LINE_MAX - len, "%s%s  %s of %s%s",
                             i > 0 ? "; " : "", key, bytes(a, node, "available_bytes"),
                             bytes(b, node, "total_bytes"), time_left(status, key, left));
            len += n > 0 ? (size_t) n : 0;
        }
    }
}

void ma_top_take_status(struct ma_top *top, const json_t *status) {
    top->n_host = 0;
    copy_text(top->pressure, sizeof(top->pressure), ma_cli_text(status, "pressure"));
    add_first_line(top, status);
    add_ram(top, status);
    add_pressure(top, status);
    add_nodes(top, status);
    for (size_t i = 0; i < top->n_host; i++) {
        char copy[MA_TOP_LINE_MAX];
        copy_text(copy, sizeof(copy), top->host[i]);
        (void) memcpy(top->host[i], copy, sizeof(copy));
    }
}

void ma_top_clear_events(struct ma_top *top) {
    top->n_events = 0;
}

void ma_top_take_event(struct ma_top *top, const json_t *event) {
    char line[MA_TOP_LINE_MAX], when[16] = "-";
    struct tm parts;
    time_t seconds = (time_t) (ma_cli_number(event, "realtime_usec") / (int64_t) MA_USEC_PER_SEC);
    if (seconds > 0 && localtime_r(&seconds, &parts) != NULL) {
        (void) strftime(when, sizeof(when), "%H:%M:%S", &parts);
    }
    if (top->n_events == MA_TOP_EVENT_MAX) {
        (void) memmove(top->events, top->events + 1, sizeof(top->events) - sizeof(top->events[0]));
        top->n_events--;
    }
    const char *name = ma_cli_text(event, "name");
    (void) snprintf(line, sizeof(line), "%s %s %.60s%s%.140s", when, ma_cli_text(event, "kind"),
                    name, name[0] != '\0' ? ": " : "", ma_cli_text(event, "message"));
    copy_text(top->events[top->n_events++], MA_TOP_LINE_MAX, line);
}
